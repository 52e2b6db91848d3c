# in:   the sealed features of cleaning.features.encoder, <results>/manifest.csv, <results>/fingerprints.zarr
# out:  <results>/feature_findings.csv, feature_findings.json

from posixpath import dirname

from unchoke.config.inspection import inspecting_head
from unchoke.targets.memory import head_mb
from unchoke.targets.stores import first_store

INSPECTED = CLEANING["features"]
INSPECTING = INSPECTED | {
    "head": inspecting_head(
        INSPECTED, config["encoders"][INSPECTED["encoder"]]["views"][0]
    )
}


rule inspect_features:
    input:
        **FINGERPRINTS,
        manifest="<results>/manifest.csv",
        features=first_store(config, INSPECTED["encoder"]).metadata,
        features_seal=first_store(config, INSPECTED["encoder"]).seal,
        quarantine=f"<results>/quarantine/{INSPECTED['encoder']}.json",
    output:
        findings="<results>/feature_findings.csv",
        summary="<results>/feature_findings.json",
        receipt="<results>/receipts/inspect_features.json",
    log:
        "<logs>/inspect_features.log",
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=lambda wildcards, input: head_mb(
            INSPECTING["head"], Path(input.features_seal)
        ),
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.INSPECTION,
        store=lambda wildcards, input: dirname(input.features),
        fingerprints=lambda wildcards, input: dirname(input.metadata),
        rules=json_of(DECIDING),
        settings=json_of(INSPECTING),
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm inspect_features'
        " --stores {params.store:q}"
        " --manifest {input.manifest:q}"
        " --fingerprints {params.fingerprints:q}"
        " --rules {params.rules:q}"
        " --settings {params.settings:q}"
        " --device {params.device}"
        " --memory-mb {resources.mem_mb}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --findings {output.findings:q}"
        " --summary {output.summary:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
