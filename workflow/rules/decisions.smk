# in:   cleaning.decisions, a file of the user that no rule writes; <results>/manifest.csv
# out:  <results>/decisions.json: what the user decided about single images, checked

from unchoke.targets.missing import refuse_missing

refuse_missing(Path(CLEANING["decisions"]), "cleaning.decisions")


rule read_decisions:
    input:
        # A function, in whose answer Snakemake does not search for wildcards.
        decisions=lambda wildcards: CLEANING["decisions"],
        manifest="<results>/manifest.csv",
    output:
        decided="<results>/decisions.json",
        receipt="<results>/receipts/read_decisions.json",
    log:
        "<logs>/read_decisions.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        **TASK_PARAMS,
        version=versions.DECISIONS,
    shell:
        '"$UNCHOKE_SCRIPTS"/warm read_decisions'
        " --decisions {input.decisions:q}"
        " --manifest {input.manifest:q}"
        f"{TASK_FLAG}"
        " --decided {output.decided:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
