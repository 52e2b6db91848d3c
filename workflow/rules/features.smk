# in:   <results>/rows/<chunk>.csv, the images, an encoder's weights
# out:  <results>/features/<encoder>.zarr/<pool>/c/<chunk>/0, or <shard> where chunks_per_shard is above 1; what goes into
#       the last blocks of an encoder: features/<encoder>~last<blocks>.zarr/activations/c/<chunk>/0/0/0

from unchoke.config.caches import caches
from unchoke.names import cut_pool

from unchoke.targets.memory import chunk_mb, chunk_vram_mb
from unchoke.targets.stores import views
from unchoke.targets.weights import encoder_weights

# Shards are told of only where there are some, so that results made before there were any still hold.
CHUNKS_PER_SHARD = config["chunks_per_shard"]
SHARD_PARAMS = {"chunks_per_shard": CHUNKS_PER_SHARD} if CHUNKS_PER_SHARD > 1 else {}
SHARD_FLAG = " --chunks-per-shard {params.chunks_per_shard}" if SHARD_PARAMS else ""
SHARD_ROWS = config["chunk_size"] * CHUNKS_PER_SHARD if SHARD_PARAMS else 0
# No param: features keep their bytes, so another decoder makes nothing anew.
DECODER_FLAG = f" --decoder {config['decoding']['decoder']}"


CACHES = caches(config)
CUTS = {name: cache[:2] for name, cache in CACHES.items() if cache.blocks}

for name, (encoder_name, view) in {**views(config), **CUTS}.items():
    encoder, store = config["encoders"][encoder_name], STORES[f"features/{name}"]

    rule:
        name:
            f"extract_chunk_{name}"
        input:
            **encoder_weights(encoder),
            **({} if name in CUTS else way_input(encoder_name)),
            rows=cache_rows_for(store) if name in CUTS else rows_for(store),
            plan=f"<results>/plans/{encoder_name}.json",
            checked=checked_before(store),
        output:
            store.array_files(["{chunk}"]),
        log:
            f"<logs>/extract_chunk/{name}/{{chunk}}.log",
        group:
            cluster_group("features", name)
        conda:
            "../../environment.yml"
        threads: CHUNK_THREADS
        resources:
            gpu=1,
            worker_threads=GPU_THREADS,
            mem_mb=(
                cache_mem_mb(CACHES[name])
                if name in CUTS
                else lambda wildcards, input: chunk_mb(Path(input.plan), SHARD_ROWS)
            ),
            vram_mb=lambda wildcards, input: chunk_vram_mb(Path(input.plan)),
        params:
            **SHARD_PARAMS,
            version=versions.EXTRACT,
            kind=config["dataset"]["kind"],
            root=image_root,
            store=subpath(output[0], ancestor=6 if name in CUTS else 4),
            view=view,
            pools=(
                [cut_pool(CACHES[name].blocks)] if name in CUTS else encoder["pools"]
            ),
            image_size=encoder["image_size"],
            precision=encoder["precision"],
            dtype=encoder["store"],
            device=config["gpu"]["device"],
            vram_mb=config["gpu"]["vram_mb"],
            chunk_size=config["chunk_size"],
            max_pixels=config["decoding"]["max_pixels"],
            jpeg_draft=config["decoding"]["jpeg_draft"],
        shell:
            '"$UNCHOKE_SCRIPTS"/warm extract_chunk'
            " --rows {input.rows:q}"
            " --kind {params.kind:q}"
            " --root {params.root:q}"
            " --weights {input.weights:q}"
            " --card {input.card:q}"
            " --pools {params.pools}"
            " --image-size {params.image_size}"
            " --view {params.view}"
            " --plan {input.plan:q}"
            f"{'' if name in CUTS else way_flag(encoder_name)}"
            " --precision {params.precision}"
            " --dtype {params.dtype}"
            " --device {params.device}"
            " --vram-mb {params.vram_mb}"
            " --threads {resources.worker_threads}"
            " --max-pixels {params.max_pixels}"
            " --jpeg-draft {params.jpeg_draft}"
            f"{DECODER_FLAG}"
            " --chunk-size {params.chunk_size}"
            " --chunk {wildcards.chunk}"
            " --store {params.store:q}"
            f"{SHARD_FLAG}"
            " > {log:q} 2>&1"
