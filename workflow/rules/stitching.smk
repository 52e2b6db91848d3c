# in:   a mask head, what it sees of all patches, the true labels
# out:  <results>/stitched/<encoder>/<head>/<image>.zarr, .png, .json, batches/<batch>.json

from unchoke.targets.masks import band_files, prediction_files


rule predict_patches:
    input:
        lambda wildcards: (
            []
            if wildcards.encoder == PIXELS
            else STORES[f"features/{wildcards.encoder}"].array_files([wildcards.chunk])
        ),
        checkpoint="<results>/checkpoints/{encoder}/{head}.safetensors",
        rows=chunk_rows,
    output:
        "<results>/predictions/{encoder}/{head}.zarr/probability/c/{chunk}/0/0/0",
    log:
        "<logs>/predict_patches/{encoder}/{head}/{chunk}.log",
    wildcard_constraints:
        encoder=ENCODERS_OF_HEADS,
    group:
        cluster_group("predictions")
    conda:
        "../../environment.yml"
    threads: CHUNK_THREADS
    resources:
        gpu=1,
        worker_threads=GPU_THREADS,
        mem_mb=3000,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.STITCH,
        store=lambda wildcards, input: (
            []
            if wildcards.encoder == PIXELS
            else ["--store", str(Path(input[0]).parents[5])]
        ),
        root=image_root,
        max_pixels=config["decoding"]["max_pixels"],
        per_chunk=config["patches"]["per_chunk"],
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm predict_patches'
        " --checkpoint {input.checkpoint:q}"
        " {params.store:q}"
        " --rows {input.rows:q}"
        " --root {params.root:q}"
        " --max-pixels {params.max_pixels}"
        " --per-chunk {params.per_chunk}"
        " --chunk {wildcards.chunk}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {resources.worker_threads}"
        " --probability {output:q}"
        " > {log:q} 2>&1"


rule stitch_masks:
    input:
        labels=lambda wildcards: STORES["labels"].array_files(
            masks().chunks_with(batch_images(wildcards))
        ),
        predictions=lambda wildcards: prediction_files(
            wildcards.encoder,
            wildcards.head,
            masks().chunks_with(batch_images(wildcards)),
        ),
        group="<results>/heads/{encoder}.zarr/{head}/zarr.json",
        grids="<results>/grids.json",
    output:
        # The masks themselves are as many as the batch has images: targets/missing.py looks for them.
        "<results>/stitched/{encoder}/{head}/batches/{batch}.json",
    log:
        "<logs>/stitch_masks/{encoder}/{head}/{batch}.log",
    group:
        cluster_group("bands", "shared", number="batch")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        version=versions.STITCH,
        group=subpath(input.group, parent=True),
        results=subpath(input.grids, parent=True),
        patches=json_of(config["patches"]),
        blend=config["segment"]["blend"],
        probabilities=config["segment"]["probabilities"],
        images=batch_images,
    shell:
        '"$UNCHOKE_SCRIPTS"/warm stitch_masks'
        " --group {params.group:q}"
        " --predictions {params.results:q}/predictions/{wildcards.encoder}/{wildcards.head}.zarr"
        " --labels {params.results:q}/labels.zarr"
        " --grids {input.grids:q}"
        " --patches {params.patches:q}"
        " --blend {params.blend}"
        " --probabilities {params.probabilities}"
        " --images {params.images}"
        " --stitched {params.results:q}/stitched/{wildcards.encoder}/{wildcards.head}"
        " --receipts {params.results:q}/receipts/finish_mask/{wildcards.encoder}/{wildcards.head}"
        " --batch {output:q}"
        " > {log:q} 2>&1"


rule stitch_band:
    input:
        labels=lambda wildcards: STORES["labels"].array_files(
            masks().chunks_at(wildcards.image, wildcards.band)
        ),
        predictions=lambda wildcards: prediction_files(
            wildcards.encoder,
            wildcards.head,
            masks().chunks_at(wildcards.image, wildcards.band),
        ),
        group="<results>/heads/{encoder}.zarr/{head}/zarr.json",
        grids="<results>/grids.json",
    output:
        "<results>/stitched/{encoder}/{head}/{image}.zarr/mask/c/{band}/0",
    log:
        "<logs>/stitch_band/{encoder}/{head}/{image}/{band}.log",
    group:
        cluster_group("bands", number="image")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1500,
    params:
        version=versions.STITCH,
        group=subpath(input.group, parent=True),
        results=subpath(input.grids, parent=True),
        store=subpath(output[0], ancestor=4),
        patches=json_of(config["patches"]),
        blend=config["segment"]["blend"],
        probabilities=config["segment"]["probabilities"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm stitch_band'
        " --group {params.group:q}"
        " --predictions {params.results:q}/predictions/{wildcards.encoder}/{wildcards.head}.zarr"
        " --labels {params.results:q}/labels.zarr"
        " --grids {input.grids:q}"
        " --patches {params.patches:q}"
        " --blend {params.blend}"
        " --probabilities {params.probabilities}"
        " --image {wildcards.image}"
        " --band {wildcards.band}"
        " --store {params.store:q}"
        " > {log:q} 2>&1"


rule finish_mask:
    input:
        bands=lambda wildcards: band_files(
            wildcards.encoder,
            wildcards.head,
            wildcards.image,
            masks().bands(wildcards.image),
        ),
        group="<results>/heads/{encoder}.zarr/{head}/zarr.json",
        grids="<results>/grids.json",
    output:
        metadata="<results>/stitched/{encoder}/{head}/{image}.zarr/zarr.json",
        picture="<results>/stitched/{encoder}/{head}/{image}.png",
        summary="<results>/stitched/{encoder}/{head}/{image}.json",
        receipt="<results>/receipts/finish_mask/{encoder}/{head}/{image}.json",
    log:
        "<logs>/finish_mask/{encoder}/{head}/{image}.log",
    group:
        cluster_group("bands", number="image")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1500,
    params:
        version=versions.STITCH,
        group=subpath(input.group, parent=True),
        store=subpath(output.metadata, parent=True),
        patches=json_of(config["patches"]),
        blend=config["segment"]["blend"],
        probabilities=config["segment"]["probabilities"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm finish_mask'
        " --group {params.group:q}"
        " --grids {input.grids:q}"
        " --patches {params.patches:q}"
        " --blend {params.blend}"
        " --probabilities {params.probabilities}"
        " --image {wildcards.image}"
        " --store {params.store:q}"
        " --picture {output.picture:q}"
        " --summary {output.summary:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
