# in:   the results of all heads, and the scores of those that predict masks
# out:  <results>/experiments.db, and the leaderboard on the terminal


localrules:
    build_database,


def finished_runs(wildcards):
    """The metadata of every head that a run is for; of masks the scores and grids too."""
    places = segmenting_places() if MASKS else head_places()
    of_masks = [f"<results>/scores/{encoder}/{head}.json" for encoder, head in places]
    of_masks += ["<results>/grids.json"]
    return [
        *(
            f"<results>/heads/{encoder}.zarr/{head}/zarr.json"
            for encoder, head in places
        ),
        *(of_masks if MASKS else []),
    ]


def evaluation_flags(wildcards):
    """How heads are ranked and compared, and at which specificity those of two classes are read."""
    asked = config["evaluation"]
    flags = {"task": "classification", "metric": asked["metric"]}
    if asked["specificity"]:
        flags |= {key: asked[key] for key in ("specificity", "positive")}
    if MASKS:
        flags = {"task": "segmentation", "metric": asked["mask_metric"]}
        flags |= {key: asked[key] for key in ("resamples", "seed")}
    return [f"--{key}={value}" for key, value in flags.items() if value is not None]


rule build_database:
    input:
        finished_runs,
        manifest="<results>/manifest.csv",
    output:
        database="<results>/experiments.db",
        receipt="<results>/receipts/build_database.json",
    log:
        "<logs>/build_database.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.DATABASE,
        results=subpath(input.manifest, parent=True),
        evaluation=evaluation_flags,
    shell:
        "scripts/warm build_database"
        " --results {params.results:q}"
        " {params.evaluation:q}"
        " --database {output.database:q}"
        " --receipt {output.receipt:q}"
        " 2>&1 | tee {log:q}"
