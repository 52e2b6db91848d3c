# in:   <results>/rows/<chunk>.csv, the images, a teacher's Python file and checkpoint
# out:  <results>/features/teacher.zarr/logits/c/<chunk>/0/0/0, features/…; its results, and its probabilities

import functools

from unchoke.files import file_sha256
from unchoke.places import find_beside

TEACHER_FILE = find_beside(config["teacher"]["file"])
TEACHER_STORE = STORES[f"features/{TEACHER}"]
# Of its file and checkpoint; read once, since a checkpoint may be large.
teacher_digests = functools.cache(
    lambda: [
        file_sha256(path) if path.exists() else ""
        for path in map(Path, (TEACHER_FILE, config["teacher"]["checkpoint"]))
    ]
)


rule run_teacher:
    input:
        rows=chunk_rows,
        file=ancient(TEACHER_FILE),
        checkpoint=ancient(config["teacher"]["checkpoint"]),
        checked=checked_before(TEACHER_STORE),
    output:
        TEACHER_STORE.array_files(["{chunk}"]),
    log:
        f"<logs>/run_teacher/{TEACHER}/{{chunk}}.log",
    group:
        cluster_group("features", TEACHER)
    conda:
        "../../environment.yml"
    threads: CHUNK_THREADS
    resources:
        gpu=1,
        worker_threads=GPU_THREADS,
        mem_mb=4000,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.TEACHER,
        sha256=lambda wildcards: teacher_digests(),
        root=image_root,
        store=subpath(output[0], ancestor=6),
        features=config["teacher"]["features"],
        classes=len(config["dataset"]["classes"]),
        size=config["patches"]["size"],
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
        per_chunk=config["patches"]["per_chunk"],
        max_pixels=config["decoding"]["max_pixels"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm run_teacher'
        " --rows {input.rows:q}"
        " --root {params.root:q}"
        " --file {input.file:q}"
        " --checkpoint {input.checkpoint:q}"
        " --features {params.features}"
        " --classes {params.classes}"
        " --size {params.size}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {resources.worker_threads}"
        " --max-pixels {params.max_pixels}"
        " --per-chunk {params.per_chunk}"
        " --chunk {wildcards.chunk}"
        " --store {params.store:q}"
        " > {log:q} 2>&1"


rule describe_teacher:
    input:
        **TEACHER_STORE.sealed,
        labels=STORES["labels"].metadata,
        labels_seal=STORES["labels"].seal,
        manifest="<results>/manifest.csv",
        quarantine=f"<results>/quarantine/{TEACHER}.json",
    output:
        metadata=f"<results>/heads/{TEACHER}.zarr/{TEACHER}/zarr.json",
        run=f"<results>/runs/{TEACHER}/{TEACHER}.json",
        receipt="<results>/receipts/describe_teacher.json",
    log:
        "<logs>/describe_teacher.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.TEACHER,
        heads=versions.MASK_HEADS,
        store=subpath(input.metadata, parent=True),
        labels=subpath(input.labels, parent=True),
        group=subpath(output.metadata, parent=True),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm describe_teacher'
        " --store {params.store:q}"
        " --labels {params.labels:q}"
        " --manifest {input.manifest:q}"
        " --group {params.group:q}"
        " --run {output.run:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


rule predict_teacher:
    input:
        TEACHER_STORE.array_files(["{chunk}"]),
    output:
        f"<results>/predictions/{TEACHER}/{TEACHER}.zarr/probability/c/{{chunk}}/0/0/0",
    log:
        "<logs>/predict_teacher/{chunk}.log",
    group:
        cluster_group("predictions", TEACHER)
    conda:
        "../../environment.yml"
    resources:
        mem_mb=3000,
    params:
        version=versions.TEACHER,
        predictions=versions.STITCH,
        store=subpath(input[0], ancestor=6),
        size=config["patches"]["size"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm predict_teacher'
        " --store {params.store:q}"
        " --size {params.size}"
        " --chunk {wildcards.chunk}"
        " --probability {output:q}"
        " > {log:q} 2>&1"
