# in:   the figures and tables of all stages, experiments.db
# out:  <results>/report.html: the run in one page; report/page.html: the same for `snakemake --report`;
#       <results>/review.html: images to look at and to decide about, where they are cleaned

from unchoke.targets.results import (
    cleaning_tables,
    decides,
    figure_files,
    finding_tables,
    inspects,
    mapped_stores,
    reviews,
)

CLEANED, REVIEWED = bool(config["cleaning"]), reviews(config)
IN_RESULTS = lambda files: [file.replace("<results>", RESULTS) for file in files]
PAGE_INPUT = {
    "selection": [] if MASKS else "<results>/selection.csv",
    "decided": "<results>/decisions.json" if decides(config) else [],
    "database": "<results>/experiments.db",
    "manifest": "<results>/manifest.csv",
    "quarantine": "<results>/quarantine.csv",
    "rates": "<results>/rates.csv",
}
PAGE_PARAMS = {
    "stores": lambda wildcards: [f"{RESULTS}/{name}.zarr" for name in USED_STORES],
    "maps": lambda wildcards: json_of(mapped_stores(config)).replace(
        "<results>", RESULTS
    ),
    "findings": lambda wildcards: (
        ["--findings", *IN_RESULTS(finding_tables(config))] if CLEANED else []
    ),
    "inspected": lambda wildcards: (
        ["--inspected", f"{RESULTS}/feature_findings.json"] if inspects(config) else []
    ),
    "selection": [] if MASKS else ["--selection", f"{RESULTS}/selection.csv"],
    "decided": lambda wildcards, input: (
        ["--decided", input.decided] if input.decided else []
    ),
    "kind": config["dataset"]["kind"],
    "root": image_root,
    "max_pixels": config["decoding"]["max_pixels"],
    # The page says nothing of the next profile.
    "config": lambda wildcards: json_of(
        {key: config[key] for key in config if key != "profile"}
    ),
}
PAGE_FLAGS = (
    " --database {input.database:q}"
    " --manifest {input.manifest:q}"
    " {params.selection:q}"
    " {params.findings:q}"
    " {params.inspected:q}"
    " {params.decided:q}"
    " --quarantine {input.quarantine:q}"
    " --rates {input.rates:q}"
    " --figures {params.folder:q}/report"
    " --stores {params.stores:q}"
    " --maps {params.maps:q}"
    " --kind {params.kind:q}"
    " --root {params.root:q}"
    " --max-pixels {params.max_pixels}"
    " --config {params.config:q}"
)


rule write_report:
    input:
        lambda wildcards: [store.seal for store in USED_STORES.values()],
        **PAGE_INPUT,
        figures=lambda wildcards: figure_files(config),
        cleaned=lambda wildcards: (
            [*cleaning_tables(config), *map(str, CLEANING_PAGES)]
            if config["cleaning"]
            else []
        ),
        profile=lambda wildcards: [
            file for file in [f"{RESULTS}/report/profile.png"] if Path(file).exists()
        ],
    output:
        page="<results>/report.html",
        entry=report_entry("page.html", "0 Report", "the run in one page"),
        receipt="<results>/receipts/write_report.json",
    log:
        "<logs>/write_report.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        **PAGE_PARAMS,
        version=versions.PAGE,
        folder=subpath(input.database, parent=True),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm write_report'
        f"{PAGE_FLAGS}"
        " --page {output.page:q}"
        " --entry {output.entry:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


if REVIEWED:

    rule write_review:
        input:
            lambda wildcards: [store.seal for store in USED_STORES.values()],
            **PAGE_INPUT,
            cleaned=lambda wildcards: cleaning_tables(config),
        output:
            page="<results>/review.html",
            receipt="<results>/receipts/write_review.json",
        log:
            "<logs>/write_review.log",
        localrule: True
        conda:
            "../../environment.yml"
        resources:
            mem_mb=2000,
        params:
            **PAGE_PARAMS,
            version=versions.REVIEW,
            folder=subpath(input.database, parent=True),
        shell:
            '"$UNCHOKE_SCRIPTS"/warm write_review'
            f"{PAGE_FLAGS}"
            " --page {output.page:q}"
            " --receipt {output.receipt:q}"
            " > {log:q} 2>&1"
