# in:   the results of heads, the sealed features
# out:  <results>/report/…: what they are worth

from unchoke.targets.results import HEAD_FIGURES
from unchoke.targets.stores import first_store, task_of

HEAD_TITLES = {
    "settings": "how it was chosen",
    "parts": "by class and by group",
    "confusion": "confusion matrix",
    "reliability": "reliability",
    "mistakes": "mistakes",
    "predicted": "predicted and true",
    "areas": "labels whatever the threshold",
}


rule draw_head:
    input:
        metadata="<results>/heads/{encoder}.zarr/{head}/zarr.json",
        manifest="<results>/manifest.csv",
        selection="<results>/selection.csv",
    output:
        **{
            name: head_entry(f"{name}.png", HEAD_TITLES[name])
            for name in HEAD_FIGURES[task_of(config)]
        },
        receipt="<results>/receipts/draw_head/{encoder}/{head}.json",
    log:
        "<logs>/draw_head/{encoder}/{head}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        version=versions.REPORT,
        group=subpath(input.metadata, parent=True),
        folder=subpath(output.settings, parent=True),
        kind=config["dataset"]["kind"],
        root=image_root,
        max_pixels=config["decoding"]["max_pixels"],
        task=task_of(config),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_head'
        " --group {params.group:q}"
        " --manifest {input.manifest:q}"
        " --root {params.root:q}"
        " --max-pixels {params.max_pixels}"
        " --folder {params.folder:q}"
        " --receipt {output.receipt:q}"
        " {params.task}"
        " --selection {input.selection:q}"
        " --kind {params.kind:q}"
        " > {log:q} 2>&1"


rule draw_embedding:
    input:
        unpack(lambda wildcards: first_store(config, wildcards.encoder).sealed),
        manifest="<results>/manifest.csv",
        selection="<results>/selection.csv",
    output:
        picture=report_entry("{encoder}/embedding.png", "3 Features", "{encoder}"),
        receipt="<results>/receipts/draw_embedding/{encoder}.json",
    log:
        "<logs>/draw_embedding/{encoder}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        **TASK_PARAMS,
        version=versions.REPORT,
        store=subpath(input.metadata, parent=True),
        pool=lookup("encoders/{encoder}/pools/0", within=config),
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_embedding'
        " --store {params.store:q}"
        " --pool {params.pool:q}"
        " --manifest {input.manifest:q}"
        " --selection {input.selection:q}"
        f"{TASK_FLAG}"
        " --picture {output.picture:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"
