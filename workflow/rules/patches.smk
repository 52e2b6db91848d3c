# in:   the images and masks of dataset.path
# out:  <results>/manifest.csv, patches.csv, grids.json, rows/<chunk>.csv, mask_rows/<chunk>.csv


if config["dataset"]["kind"] == "canvases":

    rule write_canvases:
        output:
            record=f"{config['dataset']['path']}/canvases.json",
        log:
            "<logs>/write_canvases.log",
        localrule: True
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1000,
        params:
            version=versions.CANVASES,
            folder=subpath(output.record, parent=True),
        shell:
            'python "$UNCHOKE_SCRIPTS"/write_canvases.py'
            " --path {params.folder:q}"
            " > {log:q} 2>&1"


if config["dataset"]["kind"] == "words":

    rule write_words:
        output:
            record=f"{config['dataset']['path']}/words.json",
        log:
            "<logs>/write_words.log",
        localrule: True
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1000,
        params:
            version=versions.CANVASES,
            folder=subpath(output.record, parent=True),
        shell:
            'python "$UNCHOKE_SCRIPTS"/write_words.py'
            " --path {params.folder:q}"
            " > {log:q} 2>&1"


checkpoint build_patches:
    input:
        sources.prerequisites(
            config["dataset"]["kind"], Path(config["dataset"]["path"])
        ),
    output:
        manifest=update("<results>/manifest.csv"),
        record=update("<results>/manifest.json"),
        patches=update("<results>/patches.csv"),
        grids=update("<results>/grids.json"),
        receipt=update("<results>/receipts/build_patches.json"),
    log:
        "<logs>/build_patches.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        **source_settings(),
        version=versions.PATCHES,
        size=config["patches"]["size"],
        overlap=config["patches"]["overlap"],
        per_chunk=config["patches"]["per_chunk"],
    shell:
        'python "$UNCHOKE_SCRIPTS"/build_patches.py'
        " --kind {params.kind:q}"
        " --path {params.path:q}"
        " --group {params.group:q}"
        " --seed {params.seed}"
        " --val {params.val}"
        " --test {params.test}"
        " --size {params.size}"
        " --overlap {params.overlap}"
        " --per-chunk {params.per_chunk}"
        f"{VANISHED_FLAG}"
        " --manifest {output.manifest:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
