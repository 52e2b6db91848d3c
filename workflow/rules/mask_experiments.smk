# in:   the results of all mask heads
# out:  <results>/experiments.db, and the leaderboard on the terminal


localrules:
    build_mask_database,


rule build_mask_database:
    input:
        mask_groups,
        mask_scores,
        manifest="<results>/manifest.csv",
        grids="<results>/grids.json",
    output:
        database="<results>/experiments.db",
        receipt="<results>/receipts/build_mask_database.json",
    log:
        "<logs>/build_mask_database.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.DATABASE,
        results=subpath(input.manifest, parent=True),
        resamples=config["evaluation"]["resamples"],
        seed=config["evaluation"]["seed"],
        metric=config["evaluation"]["mask_metric"],
    shell:
        "scripts/warm build_mask_database --results {params.results:q}"
        " --resamples {params.resamples} --seed {params.seed} --metric {params.metric}"
        " --database {output.database:q} --receipt {output.receipt:q} 2>&1 | tee {log:q}"
