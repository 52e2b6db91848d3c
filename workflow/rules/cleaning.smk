# in:   <results>/rows/<chunk>.csv, the images
# out:  <results>/fingerprints.zarr, findings.csv, cleaning.csv, cleaning.json

from unchoke.config.cleaning import all_rules
from unchoke.targets.results import finding_tables

# A dataset that is cleaned; images.smk includes this file for no other.
CLEANING = config["cleaning"]
INSPECTED_SUMMARY = "<results>/feature_findings.json" if CLEANING["features"] else []
CLEANING_PAGES = [
    report_entry(f"cleaning/{name}", "5 Cleaning", label, caption)
    for name, label, caption in (
        ("findings.png", "findings by rule", "findings"),
        ("findings.html", "table", "findings"),
        ("balance.png", "balance of classes", "balance"),
        ("duplicates.png", "largest clusters of copies", "duplicates"),
        ("measures.png", "measures and thresholds", "measures"),
        *(
            [("cosines.png", "cosines of near images", "cosines")]
            if all_rules(CLEANING).get("near_in_features")
            else []
        ),
        *(
            [("distances.png", "distances to train", "distances")]
            if (CLEANING["features"] or {}).get("shift")
            else []
        ),
        *(
            (f"findings_{rule}.png", rule.replace("_", " "), "findings_of_rule")
            for rule, settings in all_rules(CLEANING).items()
            if settings
        ),
    )
]


rule fingerprint_chunk:
    input:
        rows_for(STORES["fingerprints"]),
    output:
        hashes="<results>/fingerprints.zarr/hashes/c/{chunk}/0",
        measures="<results>/fingerprints.zarr/measures/c/{chunk}/0",
    log:
        "<logs>/fingerprint_chunk/{chunk}.log",
    group:
        cluster_group("fingerprints")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=CLEANING["memory_mb"],
    params:
        version=versions.FINGERPRINTS,
        kind=config["dataset"]["kind"],
        root=image_root,
        max_pixels=config["decoding"]["max_pixels"],
        chunk_size=config["chunk_size"],
        chunks_per_job=STORES["fingerprints"].chunks_per_file,
        store=subpath(output.hashes, ancestor=4),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm --cold fingerprint_chunk'
        " --rows {input:q}"
        " --kind {params.kind:q}"
        " --root {params.root:q}"
        " --max-pixels {params.max_pixels}"
        " --memory-mb {resources.mem_mb}"
        " --chunk-size {params.chunk_size}"
        " --chunks-per-job {params.chunks_per_job}"
        " --chunk {wildcards.chunk}"
        " --store {params.store:q}"
        " > {log:q} 2>&1"


rule seal_fingerprints:
    input:
        lambda wildcards: store_files(STORES["fingerprints"]),
        manifest="<results>/manifest.csv",
    output:
        metadata="<results>/fingerprints.zarr/zarr.json",
        seal="<results>/fingerprints.sealed.json",
        origin="<results>/fingerprints.origin.json",
    log:
        "<logs>/seal_fingerprints.log",
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


rule clean_images:
    input:
        metadata="<results>/fingerprints.zarr/zarr.json",
        seal="<results>/fingerprints.sealed.json",
        manifest="<results>/manifest.csv",
    output:
        findings="<results>/findings.csv",
        cleaning="<results>/cleaning.csv",
        summary="<results>/cleaning.json",
        receipt="<results>/receipts/clean_images.json",
    log:
        "<logs>/clean_images.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=CLEANING["memory_mb"],
    params:
        version=versions.CLEANING,
        rules=json_of(CLEANING["rules"]),
        store=subpath(input.metadata, parent=True),
    shell:
        'python "$UNCHOKE_SCRIPTS"/clean_images.py'
        " --store {params.store:q}"
        " --manifest {input.manifest:q}"
        " --rules {params.rules:q}"
        " --memory-mb {resources.mem_mb}"
        " --findings {output.findings:q}"
        " --cleaning {output.cleaning:q}"
        " --summary {output.summary:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


rule draw_cleaning:
    input:
        findings=finding_tables(config),
        inspected=INSPECTED_SUMMARY,
        selection="<results>/selection.csv",
        metadata="<results>/fingerprints.zarr/zarr.json",
        seal="<results>/fingerprints.sealed.json",
        manifest="<results>/manifest.csv",
    output:
        CLEANING_PAGES,
        receipt="<results>/receipts/draw_cleaning.json",
    log:
        "<logs>/draw_cleaning.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        version=versions.REPORT,
        store=subpath(input.metadata, parent=True),
        rules=json_of(all_rules(CLEANING)),
        inspected=lambda wildcards, input: (
            ["--inspected", input.inspected] if INSPECTED_SUMMARY else []
        ),
        kind=config["dataset"]["kind"],
        root=image_root,
        max_pixels=config["decoding"]["max_pixels"],
        folder=subpath(output[0], parent=True),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_cleaning'
        " --findings {input.findings:q}"
        " --manifest {input.manifest:q}"
        " --selection {input.selection:q}"
        " --store {params.store:q}"
        " --rules {params.rules:q}"
        " {params.inspected:q}"
        " --kind {params.kind:q}"
        " --root {params.root:q}"
        " --max-pixels {params.max_pixels}"
        " --folder {params.folder:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
