# in:   the stitched masks of a head, the true labels
# out:  <results>/scores/<encoder>/<head>.json


rule score_masks:
    input:
        masks=lambda wildcards: finished_masks(wildcards.encoder, wildcards.head),
        group="<results>/heads/{encoder}.zarr/{head}/zarr.json",
        manifest="<results>/manifest.csv",
        grids="<results>/grids.json",
        quarantine="<results>/quarantine/{encoder}.csv",
    output:
        scores="<results>/scores/{encoder}/{head}.json",
        receipt="<results>/receipts/score_masks/{encoder}/{head}.json",
    log:
        "<logs>/score_masks/{encoder}/{head}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2500 if config["evaluation"]["hd95"] else 1000,
    params:
        version=versions.SCORES,
        group=subpath(input.group, parent=True),
        results=subpath(input.manifest, parent=True),
        hd95="--hd95" if config["evaluation"]["hd95"] else "",
        patches=json_of(config["patches"]),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm score_masks'
        " --group {params.group:q}"
        " --stitched {params.results:q}/stitched/{wildcards.encoder}/{wildcards.head}"
        " --manifest {input.manifest:q}"
        " --quarantine {input.quarantine:q}"
        " {params.hd95}"
        " --labels {params.results:q}/labels.zarr"
        " --grids {input.grids:q}"
        " --patches {params.patches:q}"
        " --scores {output.scores:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
