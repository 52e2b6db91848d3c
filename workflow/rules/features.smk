# in:   <results>/rows/<chunk>.csv, the images, an encoder's weights
# out:  <results>/features/<encoder>.zarr/<pool>/c/<chunk>/0, or <shard> where chunks_per_shard is above 1; what goes into
#       the last blocks of an encoder: features/<encoder>~last<blocks>.zarr/activations/c/<chunk>/0/0/0


for store, (name, view) in STORES.items():
    if store in CACHES and not CACHES[store].blocks:
        continue
    encoder = config["encoders"][name]
    blocks = CACHES[store].blocks if store in CACHES else 0

    rule:
        name:
            f"extract_chunk_{store}"
        input:
            **encoder_weights(name),
            rows=cache_rows if blocks else shard_rows,
            plan=f"<results>/plans/{name}.json",
        output:
            [f"<results>/features/{store}.zarr/{array}" for array in arrays_of(store)],
        log:
            f"<logs>/extract_chunk/{store}/{{chunk}}.log",
        group:
            cluster_group("features", store)
        conda:
            "../../environment.yml"
        threads: CHUNK_THREADS
        resources:
            gpu=1,
            worker_threads=GPU_THREADS,
            mem_mb=cached_mem_mb(store) if blocks else planned_mem_mb,
            vram_mb=planned_vram_mb,
        params:
            **SHARD_PARAMS,
            version=versions.EXTRACT,
            kind=config["dataset"]["kind"],
            root=image_root,
            store=subpath(output[0], ancestor=6 if blocks else 4),
            view=view,
            pools=[cut_pool(blocks)] if blocks else encoder["pools"],
            image_size=encoder["image_size"],
            precision=encoder["precision"],
            dtype=encoder["store"],
            device=config["gpu"]["device"],
            vram_mb=config["gpu"]["vram_mb"],
            chunk_size=config["chunk_size"],
            max_pixels=config["decoding"]["max_pixels"],
            jpeg_draft=config["decoding"]["jpeg_draft"],
        shell:
            "scripts/warm extract_chunk --rows {input.rows:q} --kind {params.kind:q} --root {params.root:q}"
            " --weights {input.weights:q} --card {input.card:q} --pools {params.pools}"
            " --image-size {params.image_size} --view {params.view} --plan {input.plan:q}"
            " --precision {params.precision} --dtype {params.dtype} --device {params.device} --vram-mb {params.vram_mb} --threads {resources.worker_threads}"
            " --max-pixels {params.max_pixels} --jpeg-draft {params.jpeg_draft}"
            " --chunk-size {params.chunk_size} --chunk {wildcards.chunk}"
            " --store {params.store:q}"
            f"{SHARD_FLAG}"
            " 2>&1 | tee {log:q}"
