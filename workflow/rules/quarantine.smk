# in:   <results>/manifest.csv, the seals of all encoders
# out:  <results>/quarantine.csv, and quarantine.json where few enough images are in it


rule list_quarantine:
    input:
        manifest="<results>/manifest.csv",
        seals=expand(
            "<results>/features/{store}.sealed.json", store=STORES
        ),
    output:
        "<results>/quarantine.csv",
    log:
        "<logs>/list_quarantine.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.QUARANTINE,
    shell:
        "scripts/warm list_quarantine --manifest {input.manifest:q}"
        " --seals {input.seals:q} --quarantine {output:q} 2>&1 | tee {log:q}"


rule check_quarantine:
    input:
        manifest="<results>/manifest.csv",
        quarantine="<results>/quarantine.csv",
    output:
        "<results>/quarantine.json",
    log:
        "<logs>/check_quarantine.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.QUARANTINE,
        max_bad_share=config["dataset"]["max_bad_share"],
    shell:
        "scripts/warm check_quarantine --manifest {input.manifest:q}"
        " --quarantine {input.quarantine:q} --max-bad-share {params.max_bad_share}"
        " --summary {output:q} 2>&1 | tee {log:q}"
