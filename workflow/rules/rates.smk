# in:   the records of all chunks
# out:  <results>/rates.csv: seconds, rates and peaks by stage, with the bottleneck

from posixpath import dirname

# Stores whose chunks say how long they took.
TIMED = [store for name, store in USED_STORES.items() if name != "labels"]


rule summarise_rates:
    input:
        metadata=[store.metadata for store in TIMED],
        seals=[store.seal for store in TIMED],
    output:
        table="<results>/rates.csv",
        receipt="<results>/receipts/summarise_rates.json",
    log:
        "<logs>/summarise_rates.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.RATES,
        stores=lambda wildcards, input: [dirname(path) for path in input.metadata],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm summarise_rates'
        " --stores {params.stores:q}"
        " --table {output.table:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
