# in:   <results>/manifest.csv, checkpoints, and the sealed features that heads read
# out:  <results>/unlabelled/<encoder>/<head>.csv: what a head says of images without a label


rule predict_unlabelled:
    input:
        unpack(lambda wildcards: head_stores(config, wildcards.encoder, wildcards.head)),
        manifest="<results>/manifest.csv",
        checkpoint="<results>/checkpoints/{encoder}/{head}.safetensors",
    output:
        predictions="<results>/unlabelled/{encoder}/{head}.csv",
        receipt="<results>/receipts/predict_unlabelled/{encoder}/{head}.json",
    log:
        "<logs>/predict_unlabelled/{encoder}/{head}.log",
    wildcard_constraints:
        head="|".join(map(re.escape, config["heads"])),
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=lambda wildcards, input: head_mb(
            config["heads"][wildcards.head], Path(input.seals[0])
        ),
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.PREDICTIONS,
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
        stores=lambda wildcards, input: [dirname(path) for path in input.metadata],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm predict_unlabelled'
        " --stores {params.stores:q}"
        " --manifest {input.manifest:q}"
        " --checkpoint {input.checkpoint:q}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --predictions {output.predictions:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
