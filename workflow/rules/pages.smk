# in:   the results of all stages before
# out:  <results>/report/…: figures and tables of the page, and of `snakemake --report`

from unchoke.targets.stores import task_of

RANKS = {
    "classification": "accuracy",
    "segmentation": "mean IoU",
    "detection": "H-mean",
}

# It tells of the config, which in a module is not that of the whole report.
if not IS_MODULE:

    report: "../report/workflow.rst"


include: "report_entries.smk"
include: "page.smk"


rule draw_leaderboard:
    input:
        "<results>/experiments.db",
    output:
        picture=report_entry(
            "leaderboard.png",
            "1 Leaderboard",
            f"{RANKS.get(task_of(config), 'ranking figure')} on test",
        ),
        table=report_entry("leaderboard.html", "1 Leaderboard", "table"),
        receipt="<results>/receipts/draw_leaderboard.json",
    log:
        "<logs>/draw_leaderboard.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.REPORT,
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_leaderboard'
        " --database {input:q}"
        " --picture {output.picture:q}"
        " --table {output.table:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


rule draw_quarantine:
    input:
        "<results>/quarantine.csv",
    output:
        picture=report_entry("quarantine.png", "4 Quarantine", "images by reason"),
        table=report_entry("quarantine.html", "4 Quarantine", "table"),
        receipt="<results>/receipts/draw_quarantine.json",
    log:
        "<logs>/draw_quarantine.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.REPORT,
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_quarantine'
        " --quarantine {input:q}"
        " --picture {output.picture:q}"
        " --table {output.table:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


rule draw_durations:
    input:
        rates="<results>/rates.csv",
        database="<results>/experiments.db",
    output:
        picture=report_entry("durations.png", "6 Durations", "seconds by stage"),
        table=report_entry("durations.html", "6 Durations", "table"),
        receipt="<results>/receipts/draw_durations.json",
    log:
        "<logs>/draw_durations.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.REPORT,
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_durations'
        " --rates {input.rates:q}"
        " --database {input.database:q}"
        " --picture {output.picture:q}"
        " --table {output.table:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
