# in:   the stitched maps of a head, the true words
# out:  <results>/scores/<encoder>/<head>.json, text/<encoder>/<head>/res_<image>.txt


rule score_text:
    input:
        maps=lambda wildcards: finished_masks(wildcards.encoder, wildcards.head),
        group="<results>/heads/{encoder}.zarr/{head}/zarr.json",
        manifest="<results>/manifest.csv",
        words=lambda wildcards: f"{manifest_folder()}/words.csv",
        quarantine="<results>/quarantine/{encoder}.csv",
    output:
        scores="<results>/scores/{encoder}/{head}.json",
        receipt="<results>/receipts/score_text/{encoder}/{head}.json",
    log:
        "<logs>/score_text/{encoder}/{head}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        version=versions.TEXT_SCORES,
        group=subpath(input.group, parent=True),
        results=subpath(input.manifest, parent=True),
        settings=json_of(config["detection"]),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm score_text'
        " --group {params.group:q}"
        " --stitched {params.results:q}/stitched/{wildcards.encoder}/{wildcards.head}"
        " --manifest {input.manifest:q}"
        " --quarantine {input.quarantine:q}"
        " --words {input.words:q}"
        " --settings {params.settings:q}"
        " --icdar {params.results:q}/text/{wildcards.encoder}/{wildcards.head}"
        " --scores {output.scores:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
