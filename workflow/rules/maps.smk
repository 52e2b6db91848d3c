# in:   <results>/rows/<chunk>.csv, the images, an encoder's weights
# out:  <results>/features/<encoder>.zarr/<map>/c/<chunk>/0/0/0

from unchoke.targets.memory import chunk_mb, chunk_vram_mb
from unchoke.targets.weights import encoder_weights

for name, encoder in config["encoders"].items():
    store = STORES[f"features/{name}"]

    rule:
        name:
            f"extract_patches_{name}"
        input:
            **encoder_weights(encoder),
            **way_input(name),
            rows=chunk_rows,
            plan=f"<results>/plans/{name}.json",
            checked=checked_before(store),
        output:
            store.array_files(["{chunk}"]),
        log:
            f"<logs>/extract_patches/{name}/{{chunk}}.log",
        group:
            cluster_group("features", name)
        conda:
            "../../environment.yml"
        threads: CHUNK_THREADS
        resources:
            gpu=1,
            worker_threads=GPU_THREADS,
            mem_mb=lambda wildcards, input: chunk_mb(Path(input.plan)),
            vram_mb=lambda wildcards, input: chunk_vram_mb(Path(input.plan)),
        params:
            version=versions.EXTRACT,
            root=image_root,
            store=subpath(output[0], ancestor=6),
            size=config["patches"]["size"],
            strides=encoder["strides"],
            precision=encoder["precision"],
            dtype=encoder["store"],
            device=config["gpu"]["device"],
            vram_mb=config["gpu"]["vram_mb"],
            per_chunk=config["patches"]["per_chunk"],
            max_pixels=config["decoding"]["max_pixels"],
        shell:
            '"$UNCHOKE_SCRIPTS"/warm extract_patches'
            " --rows {input.rows:q}"
            " --root {params.root:q}"
            " --weights {input.weights:q}"
            " --card {input.card:q}"
            " --strides {params.strides}"
            " --size {params.size}"
            " --plan {input.plan:q}"
            f"{way_flag(name)}"
            " --precision {params.precision}"
            " --dtype {params.dtype}"
            " --device {params.device}"
            " --vram-mb {params.vram_mb}"
            " --threads {resources.worker_threads}"
            " --max-pixels {params.max_pixels}"
            " --per-chunk {params.per_chunk}"
            " --chunk {wildcards.chunk}"
            " --store {params.store:q}"
            " > {log:q} 2>&1"
