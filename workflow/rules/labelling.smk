# in:   <results>/manifest.csv, checkpoints, and the sealed features that heads read
# out:  <results>/unlabelled/<encoder>/<head>.csv: what a head says of images without a label; to_label.csv, to_label.json

from unchoke.targets.listing import listing_of
from unchoke.targets.memory import listing_mb
from unchoke.targets.results import listing_inputs

LISTED = listing_of(config)


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


if LISTED:

    rule list_to_label:
        input:
            **listing_inputs(config, LISTED),
            manifest="<results>/manifest.csv",
            selection="<results>/selection.csv",
            quarantine=f"<results>/quarantine/{LISTED['encoder']}.json",
        output:
            listing="<results>/to_label.csv",
            summary="<results>/to_label.json",
            receipt="<results>/receipts/list_to_label.json",
        log:
            "<logs>/list_to_label.log",
        conda:
            "../../environment.yml"
        threads: GPU_THREADS
        resources:
            gpu=1,
            mem_mb=lambda wildcards, input: listing_mb(
                config, LISTED, Path(input.seals[0])
            ),
            vram_mb=config["gpu"]["vram_mb"],
        params:
            version=versions.LISTING,
            settings=json_of(LISTED),
            device=config["gpu"]["device"],
            vram_mb=config["gpu"]["vram_mb"],
            stores=lambda wildcards, input: [dirname(path) for path in input.metadata],
            checkpoint=lambda wildcards, input: (
                ["--checkpoint", input.checkpoint]
                if hasattr(input, "checkpoint")
                else []
            ),
        shell:
            '"$UNCHOKE_SCRIPTS"/warm list_to_label'
            " --stores {params.stores:q}"
            " --manifest {input.manifest:q}"
            " --selection {input.selection:q}"
            " {params.checkpoint:q}"
            " --settings {params.settings:q}"
            " --device {params.device}"
            " --vram-mb {params.vram_mb}"
            " --threads {threads}"
            " --listing {output.listing:q}"
            " --summary {output.summary:q}"
            " --receipt {output.receipt:q}"
            " > {log:q} 2>&1"

    rule draw_to_label:
        input:
            listing="<results>/to_label.csv",
            summary="<results>/to_label.json",
        output:
            picture=report_entry("to_label.png", "7 To label", "images to label"),
            receipt="<results>/receipts/draw_to_label.json",
        log:
            "<logs>/draw_to_label.log",
        localrule: True
        conda:
            "../../environment.yml"
        resources:
            mem_mb=2000,
        params:
            version=versions.REPORT,
            kind=config["dataset"]["kind"],
            root=image_root,
            max_pixels=config["decoding"]["max_pixels"],
        shell:
            '"$UNCHOKE_SCRIPTS"/warm draw_to_label'
            " --listing {input.listing:q}"
            " --summary {input.summary:q}"
            " --kind {params.kind:q}"
            " --root {params.root:q}"
            " --max-pixels {params.max_pixels}"
            " --picture {output.picture:q}"
            " --receipt {output.receipt:q}"
            " > {log:q} 2>&1"
