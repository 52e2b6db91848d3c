# in:   a sample of the images of train and val, or of their patches with their labels; the first encoder
# out:  <results>/pipelines.csv: input pipelines side by side; <results>/report/pipelines.png; a page on the terminal

from unchoke.targets.comparison import comparison_flags, comparison_inputs
from unchoke.targets.stores import seen_size
from unchoke.targets.weights import encoder_weights

COMPARED = next(iter(config["encoders"]))


rule compare_pipelines:
    input:
        **encoder_weights(config["encoders"][COMPARED]),
        **comparison_inputs(config),
        manifest="<results>/manifest.csv",
        plan=f"<results>/plans/{COMPARED}.json",
    output:
        table="<results>/pipelines.csv",
        picture=report_entry("pipelines.png", "6 Durations", "pipelines side by side"),
        receipt="<results>/receipts/compare_pipelines.json",
    log:
        "<logs>/compare_pipelines.log",
    localrule: True
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=4000,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.PIPELINES,
        kind=config["dataset"]["kind"],
        root=image_root,
        max_pixels=config["decoding"]["max_pixels"],
        image_size=seen_size(config, COMPARED),
        source=lambda wildcards, input: comparison_flags(
            config, COMPARED, dict(input.items())
        ),
        pool=config["encoders"][COMPARED]["pools"][0],
        precision=config["encoders"][COMPARED]["precision"],
        numbers=config["encoders"][COMPARED]["store"],
        encoder=COMPARED,
        encoders=[each["image_size"] for each in config["encoders"].values()].count(
            config["encoders"][COMPARED]["image_size"]
        ),
        chunk_size=config["patches"]["per_chunk"] if MASKS else config["chunk_size"],
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        'python "$UNCHOKE_SCRIPTS"/compare_pipelines.py'
        " {params.source:q}"
        " --kind {params.kind:q}"
        " --root {params.root:q}"
        " --max-pixels {params.max_pixels}"
        " --manifest {input.manifest:q}"
        " --weights {input.weights:q}"
        " --card {input.card:q}"
        " --plan {input.plan:q}"
        " --image-size {params.image_size}"
        " --pool {params.pool}"
        " --precision {params.precision}"
        " --numbers {params.numbers}"
        " --encoder {params.encoder:q}"
        " --encoders {params.encoders}"
        " --chunk-size {params.chunk_size}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --table {output.table:q}"
        " --picture {output.picture:q}"
        " --receipt {output.receipt:q}"
        " 2>&1 | tee {log:q}"
