# in:   scores of text heads, and the images
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
        overlays=head_entry("text_overlays.png", "words"),
        thresholds=head_entry("text_thresholds.png", "thresholds"),
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
        root=image_root,
        max_pixels=config["decoding"]["max_pixels"],
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
        " detection"
        " --scores {input.scores:q}"
        " --run {input.run:q}"
        " --grids {input.grids:q}"
        " {params.store:q}"
        " > {log:q} 2>&1"
