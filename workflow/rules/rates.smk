# in:   the records of all chunks
# out:  <results>/rates.csv: seconds, rates and peaks by stage, with the bottleneck


localrules:
    summarise_rates,


rule summarise_rates:
    input:
        metadata=[f"{store}.zarr/zarr.json" for store in TIMED_STORES],
        seals=[f"{store}.sealed.json" for store in TIMED_STORES],
    output:
        table="<results>/rates.csv",
        receipt="<results>/receipts/summarise_rates.json",
    log:
        "<logs>/summarise_rates.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.RATES,
        stores=sealed_stores,
    shell:
        "scripts/warm summarise_rates --stores {params.stores:q}"
        " --table {output.table:q} --receipt {output.receipt:q} 2>&1 | tee {log:q}"
