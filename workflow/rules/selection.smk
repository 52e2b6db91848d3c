# in:   <results>/manifest.csv, <results>/fingerprints.zarr where images are cleaned, feature_findings.csv, decisions.json
# out:  <results>/selection.csv: which images heads leave out, and why

from posixpath import dirname

from unchoke.config.cleaning import deciding, features_drop
from unchoke.targets.listing import drawn_part

# Datasets that are not cleaned have no fingerprints.
FINGERPRINTS = STORES["fingerprints"].sealed if config["cleaning"] else {}
DECIDING = deciding(config["cleaning"]["rules"]) if FINGERPRINTS else {}
DROPPED = "<results>/feature_findings.csv" if features_drop(config["cleaning"]) else []
# Told only where there are decisions, so that heads of runs without them stay as they are.
DECIDED = "<results>/decisions.json" if decides(config) else []
DECIDED_FLAG = " --decided {input.decided:q}" if DECIDED else ""


# Heads wait for what is dropped alone: a rule that only reports is no reason to train them again.
rule select_rows:
    input:
        **FINGERPRINTS,
        manifest="<results>/manifest.csv",
        inspected=DROPPED,
        decided=DECIDED,
    output:
        selection="<results>/selection.csv",
        receipt="<results>/receipts/select_rows.json",
    log:
        "<logs>/select_rows.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.SELECTION,
        store=lambda wildcards, input: (
            ["--store", dirname(input.metadata)] if FINGERPRINTS else []
        ),
        inspected=lambda wildcards, input: (
            ["--inspected", input.inspected] if DROPPED else []
        ),
        rules=json_of(DECIDING),
        subset=json_of(drawn_part(config["subset"])),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm select_rows'
        " --manifest {input.manifest:q}"
        " {params.store:q}"
        " {params.inspected:q}"
        " --rules {params.rules:q}"
        " --subset {params.subset:q}"
        f"{DECIDED_FLAG}"
        " --selection {output.selection:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
