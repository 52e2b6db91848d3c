# in:   <results>/manifest.csv, <results>/fingerprints.zarr where images are cleaned
# out:  <results>/selection.csv: which images heads leave out, and why


localrules:
    select_rows,


# Heads wait for what is dropped alone: a rule that only reports is no reason to train them again.
rule select_rows:
    input:
        unpack(fingerprints),
        manifest="<results>/manifest.csv",
    output:
        selection="<results>/selection.csv",
        receipt="<results>/receipts/select_rows.json",
    log:
        "<logs>/select_rows.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.CLEANING,
        store=fingerprint_flag,
        rules=json_of(deciding(CLEANING["rules"]) if CLEANING else {}),
        subset=json_of(config["subset"]),
    shell:
        "scripts/warm select_rows --manifest {input.manifest:q} {params.store:q}"
        " --rules {params.rules:q} --subset {params.subset:q}"
        " --selection {output.selection:q} --receipt {output.receipt:q} 2>&1 | tee {log:q}"
