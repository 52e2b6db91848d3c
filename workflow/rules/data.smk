# in:   the images of dataset.path
# out:  <results>/manifest.csv, <results>/manifest.json, <results>/rows/<chunk>.csv; classes.json: images by class

from unchoke.targets.stores import task_of

# Whose class the manifest looks for; nothing where none is named, so that manifests made before stay as they are.
POSITIVE = config["evaluation"]["positive"]
POSITIVE_PARAMS = {} if POSITIVE is None else {"positive": lambda wildcards: POSITIVE}
POSITIVE_FLAG = " --positive {params.positive:q}" if POSITIVE_PARAMS else ""
# What labels are, where they are no classes.
TASK_PARAMS = {} if task_of(config) == "classification" else {"task": task_of(config)}
TASK_FLAG = " --task {params.task}" if TASK_PARAMS else ""

# Without heads and networks, classes and splits may be missing; told only there, as above.
LABELS_PARAMS = {} if config["heads"] or config["networks"] else {"labels": "optional"}
LABELS_FLAG = " --labels {params.labels}" if LABELS_PARAMS else ""


if config["dataset"]["kind"] == "digits":

    rule write_digits:
        output:
            record=f"{config['dataset']['path']}/digits.json",
        log:
            "<logs>/write_digits.log",
        localrule: True
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1000,
        params:
            version=versions.DIGITS,
            folder=subpath(output.record, parent=True),
        shell:
            'python "$UNCHOKE_SCRIPTS"/write_digits.py'
            " --path {params.folder:q}"
            " > {log:q} 2>&1"


checkpoint build_manifest:
    input:
        sources.prerequisites(
            config["dataset"]["kind"], Path(config["dataset"]["path"])
        ),
    output:
        manifest=update("<results>/manifest.csv"),
        record=update("<results>/manifest.json"),
        receipt=update("<results>/receipts/build_manifest.json"),
    log:
        "<logs>/build_manifest.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        **source_settings(),
        **POSITIVE_PARAMS,
        **TASK_PARAMS,
        **LABELS_PARAMS,
        version=versions.MANIFEST,
        chunk_size=config["chunk_size"],
        folder=subpath(output.manifest, parent=True),
    shell:
        'python "$UNCHOKE_SCRIPTS"/build_manifest.py'
        " --kind {params.kind:q}"
        " --path {params.path:q}"
        " --group {params.group:q}"
        " --fields {params.fields:q}"
        " --seed {params.seed}"
        " --val {params.val}"
        " --test {params.test}"
        " --chunk-size {params.chunk_size}"
        f"{POSITIVE_FLAG}"
        f"{VANISHED_FLAG}"
        f"{TASK_FLAG}"
        f"{LABELS_FLAG}"
        " --manifest {output.manifest:q}"
        " --rows {params.folder:q}/rows"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


rule count_classes:
    input:
        manifest="<results>/manifest.csv",
    output:
        classes="<results>/classes.json",
        receipt="<results>/receipts/count_classes.json",
    log:
        "<logs>/count_classes.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        **TASK_PARAMS,
        version=versions.CLASSES,
    shell:
        '"$UNCHOKE_SCRIPTS"/warm count_classes'
        " --manifest {input.manifest:q}"
        f"{TASK_FLAG}"
        " --classes {output.classes:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
