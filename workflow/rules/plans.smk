# in:   an encoder's weights, the memory budget
# out:  <results>/plans/<encoder>.json: how many images it sees at once; .peaks.json: what was measured;
#       .way.json: whether it is compiled, where the config lets it be; .compiling.json: why

from unchoke.targets.stores import seen_size
from unchoke.targets.ways import encoder_stores
from unchoke.targets.weights import encoder_weights


include: "encoder_checks.smk"
include: "way_inputs.smk"


rule plan_memory:
    input:
        unpack(lambda wildcards: encoder_weights(config["encoders"][wildcards.encoder])),
    output:
        plan="<results>/plans/{encoder}.json",
        peaks="<results>/plans/{encoder}.peaks.json",
    log:
        "<logs>/plan_memory/{encoder}.log",
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=3000,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.PLAN,
        pools=[] if MASKS else lookup("encoders/{encoder}/pools", within=config),
        strides=lookup("encoders/{encoder}/strides", within=config),
        image_size=lambda wildcards: seen_size(config, wildcards.encoder),
        micro_batch=lookup("encoders/{encoder}/micro_batch", within=config),
        precision=lookup("encoders/{encoder}/precision", within=config),
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm plan_memory'
        " --weights {input.weights:q}"
        " --card {input.card:q}"
        " --pools {params.pools}"
        " --strides {params.strides}"
        " --image-size {params.image_size}"
        " --micro-batch {params.micro_batch}"
        " --precision {params.precision}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --plan {output.plan:q}"
        " --peaks {output.peaks:q}"
        " > {log:q} 2>&1"


rule choose_way:
    input:
        unpack(weights_when_listed),
        plan="<results>/plans/{encoder}.json",
    output:
        way="<results>/plans/{encoder}.way.json",
        measured="<results>/plans/{encoder}.compiling.json",
    log:
        "<logs>/choose_way/{encoder}.log",
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=3000,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.WAY,
        manifest=f"{RESULTS}/{'patches.csv' if MASKS else 'manifest.csv'}",
        stores=lambda wildcards: encoder_stores(
            config, wildcards.encoder, Path(RESULTS)
        ),
        compile=lookup("encoders/{encoder}/compile", within=config),
        chunk_size=config["patches"]["per_chunk"] if MASKS else config["chunk_size"],
        pools=[] if MASKS else lookup("encoders/{encoder}/pools", within=config),
        strides=lookup("encoders/{encoder}/strides", within=config),
        image_size=lambda wildcards: seen_size(config, wildcards.encoder),
        precision=lookup("encoders/{encoder}/precision", within=config),
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm choose_way'
        " --weights {input.weights:q}"
        " --card {input.card:q}"
        " --manifest {params.manifest:q}"
        " --stores {params.stores:q}"
        " --compile {params.compile}"
        " --chunk-size {params.chunk_size}"
        " --pools {params.pools}"
        " --strides {params.strides}"
        " --image-size {params.image_size}"
        " --plan {input.plan:q}"
        " --precision {params.precision}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --way {output.way:q}"
        " --measured {output.measured:q}"
        " > {log:q} 2>&1"
