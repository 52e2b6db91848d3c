# in:   <results>/manifest.csv, <results>/rows/<chunk>.csv, the images, what an encoder's weights are
# out:  <results>/caches.json: how large the caches of networks will be; features/<encoder>~pixels.zarr, the images as an
#       encoder sees them, or features/pixels~<image_size>.zarr


from unchoke.config.caches import cache_requests
from unchoke.targets.weights import encoder_weights


checkpoint plan_caches:
    input:
        manifest="<results>/manifest.csv",
    output:
        plan="<results>/caches.json",
        receipt="<results>/receipts/plan_caches.json",
    log:
        "<logs>/plan_caches.log",
    priority: 2
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.CACHES,
        caches=json_of(cache_requests(config)),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm plan_caches'
        " --caches {params.caches:q}"
        " --manifest {input.manifest:q}"
        " --plan {output.plan:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


for name, cache in CACHES.items():
    if cache.blocks:
        continue
    store, encoder = STORES[f"features/{name}"], config["encoders"].get(cache.encoder)
    card = {"card": encoder_weights(encoder)["card"]} if encoder else {}

    # Before features: chunks of them that find their pixels read no files.
    rule:
        name:
            f"extract_pixels_{name}"
        input:
            **card,
            rows=cache_rows_for(store),
            checked=checked_before(store),
        output:
            store.array_files(["{chunk}"]),
        log:
            f"<logs>/extract_pixels/{name}/{{chunk}}.log",
        priority: 1
        group:
            cluster_group("features", name)
        conda:
            "../../environment.yml"
        threads: CHUNK_THREADS
        resources:
            worker_threads=GPU_THREADS,
            mem_mb=cache_mem_mb(cache),
        params:
            **SHARD_PARAMS,
            version=versions.PIXELS,
            kind=config["dataset"]["kind"],
            root=image_root,
            store=subpath(output[0], ancestor=6),
            card=lambda wildcards, input: (
                ["--card", input.card] if hasattr(input, "card") else []
            ),
            image_size=encoder["image_size"] if encoder else cache.image_size,
            chunk_size=config["chunk_size"],
            max_pixels=config["decoding"]["max_pixels"],
            jpeg_draft=config["decoding"]["jpeg_draft"],
        shell:
            '"$UNCHOKE_SCRIPTS"/warm extract_pixels'
            " --rows {input.rows:q}"
            " --kind {params.kind:q}"
            " --root {params.root:q}"
            " {params.card:q}"
            " --image-size {params.image_size}"
            " --threads {resources.worker_threads}"
            " --max-pixels {params.max_pixels}"
            " --jpeg-draft {params.jpeg_draft}"
            f"{DECODER_FLAG}"
            " --chunk-size {params.chunk_size}"
            " --chunk {wildcards.chunk}"
            " --store {params.store:q}"
            f"{SHARD_FLAG}"
            " > {log:q} 2>&1"
