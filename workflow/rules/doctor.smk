# in:   the config, the images' names, the machine
# out:  a page on the terminal


from unchoke.targets.weights import encoder_weights


rule doctor:
    input:
        sources.prerequisites(
            config["dataset"]["kind"], Path(config["dataset"]["path"])
        ),
    log:
        "<logs>/doctor.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=3000,
    params:
        config=lambda wildcards: json_of(config),
        results=RESULTS,
        weights=lambda wildcards: json.dumps(
            {
                name: encoder_weights(encoder)["weights"]
                for name, encoder in USED_ENCODERS.items()
            }
        ),
    shell:
        'python "$UNCHOKE_SCRIPTS"/examine_machine.py'
        " --config {params.config:q}"
        " --results {params.results:q}"
        " --weights {params.weights:q}"
        " 2>&1 | tee {log:q}"
