# in:   a sample of the images, the encoders' weights and plans
# out:  a page on the terminal; <results>/profile.json, profile.csv and report/profile.png, which no other rule asks for,
#       so that they are measured anew each time

from unchoke.targets.weights import encoder_weights

PROFILED = {
    name: {
        **encoder_weights(encoder),
        "plan": f"{RESULTS}/plans/{name}.json",
    }
    for name, encoder in config["encoders"].items()
}


rule profile:
    input:
        sources.prerequisites(
            config["dataset"]["kind"], Path(config["dataset"]["path"])
        ),
        [list(files.values()) for files in PROFILED.values()],
    log:
        "<logs>/profile.log",
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=5000,
        vram_mb=config["gpu"]["vram_mb"],
    params:
        config=lambda wildcards: json_of(config),
        files=lambda wildcards: json_of(PROFILED),
        results=lambda wildcards: RESULTS,
        seconds=config["profile"]["seconds"],
        images=config["profile"]["images"],
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm profile_pipeline'
        " --config {params.config:q}"
        " --files {params.files:q}"
        " --results {params.results:q}"
        " --seconds {params.seconds}"
        " --images {params.images}"
        " --device {params.device}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


if config["encoders"]:

    include: "pipelines.smk"
