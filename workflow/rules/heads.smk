# in:   the sealed features of an encoder in all views that the head reads, <results>/manifest.csv
# out:  <results>/heads/<encoder>.zarr/<head>, checkpoints/<encoder>/<head>.safetensors, runs/<encoder>/<head>.json

from posixpath import dirname

from unchoke.targets.heads import head_settings, head_stores
from unchoke.targets.memory import head_mb


rule train_head:
    input:
        unpack(lambda wildcards: head_stores(config, wildcards.encoder, wildcards.head)),
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
        mem_mb=lambda wildcards, input: head_mb(
            config["heads"][wildcards.head], Path(input.seals[0])
        ),
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.HEADS,
        settings=lambda wildcards: json_of(head_settings(config, wildcards.head)),
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
        stores=lambda wildcards, input: [dirname(path) for path in input.metadata],
        # The table of a repeat (repeats.smk), where a head is trained on one.
        splits=lambda wildcards, input: (
            ["--splits", input.splits] if hasattr(input, "splits") else []
        ),
        group=subpath(output.metadata, parent=True),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm train_head'
        " --stores {params.stores:q}"
        " --manifest {input.manifest:q}"
        " --selection {input.selection:q}"
        " {params.splits:q}"
        " --settings {params.settings:q}"
        " --device {params.device}"
        " --memory-mb {resources.mem_mb}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --group {params.group:q}"
        " --checkpoint {output.checkpoint:q}"
        " --run {output.run:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
