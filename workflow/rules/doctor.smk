# in:   the config, the images' names, the machine
# out:  a page on the terminal


localrules:
    doctor,


rule doctor:
    input:
        sources.prerequisites(
            config["dataset"]["kind"], Path(config["dataset"]["path"])
        ),
    log:
        "<logs>/doctor.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=3000,
    params:
        config=whole_config,
        results=f"results/{config['dataset']['name']}",
        weights=weights_files,
    shell:
        "python scripts/examine_machine.py --config {params.config:q} --results {params.results:q}"
        " --weights {params.weights:q} 2>&1 | tee {log:q}"
