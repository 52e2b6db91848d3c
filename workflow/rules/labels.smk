# in:   <results>/mask_rows/<chunk>.csv, the masks
# out:  <results>/labels.zarr/mask/c/<chunk>/0/0, of words threshold/c/<chunk>/0/0 too; zarr.json, labels.sealed.json

from unchoke.names import TEXT_KINDS

if config["dataset"]["kind"] in TEXT_KINDS:

    rule draw_text_maps:
        input:
            rows=lambda wildcards: f"{manifest_folder()}/mask_rows/{wildcards.chunk}.csv",
        output:
            "<results>/labels.zarr/mask/c/{chunk}/0/0",
            "<results>/labels.zarr/threshold/c/{chunk}/0/0",
        log:
            "<logs>/draw_text_maps/{chunk}.log",
        group:
            cluster_group("labels")
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1500,
        params:
            version=versions.TEXT_MAPS,
            size=config["patches"]["size"],
            per_chunk=config["patches"]["per_chunk"],
            smallest_word=config["dataset"]["smallest_word"],
            store=subpath(output[0], ancestor=5),
        shell:
            '"$UNCHOKE_SCRIPTS"/warm draw_text_maps'
            " --rows {input.rows:q}"
            " --size {params.size}"
            " --per-chunk {params.per_chunk}"
            " --smallest-word {params.smallest_word}"
            " --chunk {wildcards.chunk}"
            " --store {params.store:q}"
            " > {log:q} 2>&1"

else:

    rule cut_masks:
        input:
            rows=lambda wildcards: f"{manifest_folder()}/mask_rows/{wildcards.chunk}.csv",
        output:
            "<results>/labels.zarr/mask/c/{chunk}/0/0",
        log:
            "<logs>/cut_masks/{chunk}.log",
        group:
            cluster_group("labels")
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1500,
        params:
            version=versions.MASKS,
            root=image_root,
            classes=lambda wildcards: json.dumps(config["dataset"]["classes"]),
            ignore=config["dataset"]["ignore"],
            size=config["patches"]["size"],
            per_chunk=config["patches"]["per_chunk"],
            max_pixels=config["decoding"]["max_pixels"],
            store=subpath(output[0], ancestor=5),
        shell:
            '"$UNCHOKE_SCRIPTS"/warm cut_masks'
            " --rows {input.rows:q}"
            " --root {params.root:q}"
            " --classes {params.classes:q}"
            " --ignore {params.ignore}"
            " --size {params.size}"
            " --max-pixels {params.max_pixels}"
            " --per-chunk {params.per_chunk}"
            " --chunk {wildcards.chunk}"
            " --store {params.store:q}"
            " > {log:q} 2>&1"


rule seal_labels:
    input:
        lambda wildcards: store_files(STORES["labels"]),
        patches="<results>/patches.csv",
    output:
        metadata="<results>/labels.zarr/zarr.json",
        seal="<results>/labels.sealed.json",
        origin="<results>/labels.origin.json",
    log:
        "<logs>/seal_labels.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.SEAL,
        store=subpath(output.metadata, parent=True),
        folder=subpath(input.patches, parent=True),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm seal_store'
        " --store {params.store:q}"
        " --manifest {input.patches:q}"
        " --rows {params.folder:q}/mask_rows"
        " > {log:q} 2>&1"
