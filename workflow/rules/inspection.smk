# in:   the sealed features of cleaning.features.encoder, <results>/manifest.csv, <results>/fingerprints.zarr
# out:  <results>/feature_findings.csv, feature_findings.json, distances.csv

from posixpath import dirname

from unchoke.config.inspection import inspecting_heads
from unchoke.targets.memory import head_mb
from unchoke.names import store_name

INSPECTED = CLEANING["features"]
INSPECTED_STORES = [
    STORES[f"features/{store_name(INSPECTED['encoder'], view)}"]
    for view in config["encoders"][INSPECTED["encoder"]]["views"][:2]
]
INSPECTING = INSPECTED | inspecting_heads(
    INSPECTED, config["encoders"][INSPECTED["encoder"]]["views"][0]
)


rule inspect_features:
    input:
        **FINGERPRINTS,
        manifest="<results>/manifest.csv",
        features=[store.metadata for store in INSPECTED_STORES],
        features_seals=[store.seal for store in INSPECTED_STORES],
        quarantine=f"<results>/quarantine/{INSPECTED['encoder']}.json",
    output:
        findings="<results>/feature_findings.csv",
        summary="<results>/feature_findings.json",
        distances="<results>/distances.csv",
        receipt="<results>/receipts/inspect_features.json",
    log:
        "<logs>/inspect_features.log",
    conda:
        "../../environment.yml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=lambda wildcards, input: head_mb(
            INSPECTING["head"], Path(input.features_seals[0])
        ),
        vram_mb=config["gpu"]["vram_mb"],
    params:
        version=versions.INSPECTION,
        stores=lambda wildcards, input: [dirname(path) for path in input.features],
        fingerprints=lambda wildcards, input: dirname(input.metadata),
        rules=json_of(DECIDING),
        settings=json_of(INSPECTING),
        device=config["gpu"]["device"],
        vram_mb=config["gpu"]["vram_mb"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm inspect_features'
        " --stores {params.stores:q}"
        " --manifest {input.manifest:q}"
        " --fingerprints {params.fingerprints:q}"
        " --rules {params.rules:q}"
        " --settings {params.settings:q}"
        " --device {params.device}"
        " --memory-mb {resources.mem_mb}"
        " --vram-mb {params.vram_mb}"
        " --threads {threads}"
        " --findings {output.findings:q}"
        " --summary {output.summary:q}"
        " --distances {output.distances:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
