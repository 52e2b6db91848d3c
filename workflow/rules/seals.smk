# in:   all chunks of a store
# out:  <results>/features/<store>.zarr/zarr.json, <store>.sealed.json: what makes them one store

from unchoke.targets.results import receipts
from unchoke.targets.weights import encoder_weights

# What a store has a row for: an image, or a patch.
ROWS_TABLE = "patches.csv" if MASKS else "manifest.csv"


rule seal_features:
    input:
        lambda wildcards: store_files(STORES[f"features/{wildcards.store}"]),
        manifest=f"<results>/{ROWS_TABLE}",
    output:
        metadata="<results>/features/{store}.zarr/zarr.json",
        seal="<results>/features/{store}.sealed.json",
        origin="<results>/features/{store}.origin.json",
    log:
        "<logs>/seal_features/{store}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.SEAL,
        store=subpath(output.metadata, parent=True),
        folder=subpath(input.manifest, parent=True),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm seal_store'
        " --store {params.store:q}"
        " --manifest {input.manifest:q}"
        " --rows {params.folder:q}/rows"
        " > {log:q} 2>&1"


rule verify:
    log:
        "<logs>/verify.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        results=RESULTS,
        stores=[f"{RESULTS}/{name}.zarr" for name in USED_STORES],
        receipts=lambda wildcards: json_of(receipts(config)),
        plans=[f"{RESULTS}/plans/{encoder}.json" for encoder in USED_ENCODERS],
        weights=sorted(
            {encoder_weights(used)["weights"] for used in USED_ENCODERS.values()}
        ),
    shell:
        'python "$UNCHOKE_SCRIPTS"/verify_results.py'
        " --results {params.results:q}"
        " --stores {params.stores:q}"
        " --receipts {params.receipts:q}"
        " --plans {params.plans:q}"
        " --weights {params.weights:q}"
        " 2>&1 | tee {log:q}"
