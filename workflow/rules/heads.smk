# in:   the sealed features of an encoder in all views that the head reads, <results>/manifest.csv
# out:  <results>/heads/<encoder>.zarr/<head>, checkpoints/<encoder>/<head>.safetensors, runs/<encoder>/<head>.json


rule train_head:
    input:
        unpack(head_stores),
        manifest="<results>/manifest.csv",
        selection="<results>/selection.csv",
        quarantine="<results>/quarantine/{encoder}.json",
    output:
        metadata=update("<results>/heads/{encoder}.zarr/{head}/zarr.json"),
        checkpoint=update("<results>/checkpoints/{encoder}/{head}.safetensors"),
        run=update("<results>/runs/{encoder}/{head}.json"),
        receipt="<results>/receipts/train_head/{encoder}/{head}.json",
    log:
        "<logs>/train_head/{encoder}/{head}.log",
    wildcard_constraints:
        head="|".join(map(re.escape, config["heads"])),
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=head_mem_mb,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.HEADS,
        settings=head_settings,
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
        stores=sealed_stores,
        splits=splits_flag,
        group=subpath(output.metadata, parent=True),
    shell:
        "scripts/warm train_head --stores {params.stores:q} --manifest {input.manifest:q}"
        " --selection {input.selection:q} {params.splits:q}"
        " --settings {params.settings:q}"
        " --device {params.device} --memory-mb {resources.mem_mb}"
        " --vram-mb {params.vram_mb} --threads {threads}"
        " --group {params.group:q} --checkpoint {output.checkpoint:q}"
        " --run {output.run:q} --receipt {output.receipt:q} 2>&1 | tee {log:q}"
