# in:   sealed feature maps of an encoder, or the images; sealed labels; <results>/manifest.csv, patches.csv
# out:  <results>/heads/<encoder>.zarr/<head>, checkpoints/<encoder>/<head>.safetensors, runs/<encoder>/<head>.json

from unchoke.targets.heads import (
    mask_head_flags,
    mask_head_inputs,
    mask_head_settings,
)
from unchoke.targets.memory import mask_head_mb


rule train_mask_head:
    input:
        unpack(
            lambda wildcards: mask_head_inputs(
                config, wildcards.encoder, wildcards.head
            )
        ),
        labels="<results>/labels.zarr/zarr.json",
        labels_seal="<results>/labels.sealed.json",
        manifest="<results>/manifest.csv",
        patches="<results>/patches.csv",
        quarantine="<results>/quarantine/{encoder}.json",
    output:
        metadata=update("<results>/heads/{encoder}.zarr/{head}/zarr.json"),
        checkpoint=update("<results>/checkpoints/{encoder}/{head}.safetensors"),
        run=update("<results>/runs/{encoder}/{head}.json"),
        receipt="<results>/receipts/train_mask_head/{encoder}/{head}.json",
    log:
        "<logs>/train_mask_head/{encoder}/{head}.log",
    wildcard_constraints:
        encoder=ENCODERS_OF_HEADS,
    conda:
        "../../environment.yml"
    threads: lambda wildcards: config["mask_heads"][wildcards.head]["threads"]
    resources:
        gpu=1,
        mem_mb=lambda wildcards: mask_head_mb(
            config["mask_heads"][wildcards.head], config["patches"]["size"]
        ),
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.MASK_HEADS,
        source=lambda wildcards, input: mask_head_flags(
            config, wildcards.encoder, wildcards.head, dict(input.items())
        ),
        settings=lambda wildcards: json_of(mask_head_settings(config, wildcards.head)),
        # Of the config: `--cores` may leave fewer processors, but no other bits.
        threads=lambda wildcards: config["mask_heads"][wildcards.head]["threads"],
        root=image_root,
        max_pixels=config["decoding"]["max_pixels"],
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
        labels=subpath(input.labels, parent=True),
        group=subpath(output.metadata, parent=True),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm train_mask_head'
        " {params.source:q}"
        " --labels {params.labels:q}"
        " --manifest {input.manifest:q}"
        " --root {params.root:q}"
        " --max-pixels {params.max_pixels}"
        " --settings {params.settings:q}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {params.threads}"
        " --group {params.group:q}"
        " --checkpoint {output.checkpoint:q}"
        " --run {output.run:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
