# in:   scores and stitched masks of mask heads
# out:  <results>/report/…: what they are worth


rule draw_head:
    input:
        scores="<results>/scores/{encoder}/{head}.json",
        metadata="<results>/heads/{encoder}.zarr/{head}/zarr.json",
        run="<results>/runs/{encoder}/{head}.json",
        manifest="<results>/manifest.csv",
        grids="<results>/grids.json",
    output:
        curves=head_entry("mask_curves.png", "how it was trained"),
        overlays=head_entry("mask_overlays.png", "masks"),
        confusion=head_entry("mask_confusion.png", "confusion of pixels"),
        receipt="<results>/receipts/draw_head/{encoder}/{head}.json",
    log:
        "<logs>/draw_head/{encoder}/{head}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        version=versions.REPORT,
        group=subpath(input.metadata, parent=True),
        folder=subpath(output.curves, parent=True),
        results=subpath(input.manifest, parent=True),
        root=image_root,
        max_pixels=config["decoding"]["max_pixels"],
        classes=lambda wildcards: json.dumps(config["dataset"]["classes"]),
        ignore=config["dataset"]["ignore"],
        store=lambda wildcards: (
            []
            if wildcards.encoder == PIXELS
            else ["--store", f"{RESULTS}/features/{wildcards.encoder}.zarr"]
        ),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_head'
        " --group {params.group:q}"
        " --manifest {input.manifest:q}"
        " --root {params.root:q}"
        " --max-pixels {params.max_pixels}"
        " --folder {params.folder:q}"
        " --receipt {output.receipt:q}"
        " segmentation"
        " --scores {input.scores:q}"
        " --run {input.run:q}"
        " --stitched {params.results:q}/stitched/{wildcards.encoder}/{wildcards.head}"
        " --mask-rows {params.results:q}/mask_rows"
        " --grids {input.grids:q}"
        " --classes {params.classes:q}"
        " --ignore {params.ignore}"
        " {params.store:q}"
        " > {log:q} 2>&1"
