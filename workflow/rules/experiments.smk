# in:   the results of all heads, and the scores of those that predict masks
# out:  <results>/experiments.db, and the leaderboard on the terminal

from unchoke.config.evaluation import evaluation_flags
from unchoke.targets.results import finished_runs, repeats
from unchoke.targets.stores import task_of


rule build_database:
    input:
        finished_runs(config),
        manifest="<results>/manifest.csv",
    output:
        database="<results>/experiments.db",
        receipt="<results>/receipts/build_database.json",
    log:
        "<logs>/build_database.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.DATABASE,
        results=subpath(input.manifest, parent=True),
        evaluation=evaluation_flags(
            config["evaluation"],
            task_of(config),
            splits=len(repeats(config)) + 1,
        ),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm build_database'
        " --results {params.results:q}"
        " {params.evaluation:q}"
        " --database {output.database:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
