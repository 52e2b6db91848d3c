# in:   <results>/manifest.csv, and what heads are trained on
# out:  <results>/repeats/<repeat>.csv: another random split; repeats/<repeat>/heads, checkpoints, runs: all heads on it


rule draw_repeat:
    input:
        manifest="<results>/manifest.csv",
        record="<results>/manifest.json",
    output:
        splits=update("<results>/repeats/{repeat}.csv"),
        record=update("<results>/repeats/{repeat}.json"),
        receipt="<results>/receipts/draw_repeat/{repeat}.json",
    log:
        "<logs>/draw_repeat/{repeat}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.MANIFEST,
    shell:
        '"$UNCHOKE_SCRIPTS"/warm draw_repeat'
        " --manifest {input.manifest:q}"
        " --repeat {wildcards.repeat}"
        " --splits {output.splits:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


# What a head leaves on another split lies apart, so that nobody takes it for a head of its own.
use rule train_head as train_repeat with:
    input:
        unpack(lambda wildcards: head_stores(config, wildcards.encoder, wildcards.head)),
        manifest="<results>/manifest.csv",
        selection="<results>/selection.csv",
        quarantine="<results>/quarantine/{encoder}.json",
        splits="<results>/repeats/{repeat}.csv",
    output:
        metadata=update(
            "<results>/repeats/{repeat}/heads/{encoder}.zarr/{head}/zarr.json"
        ),
        checkpoint=update(
            "<results>/repeats/{repeat}/checkpoints/{encoder}/{head}.safetensors"
        ),
        run=update("<results>/repeats/{repeat}/runs/{encoder}/{head}.json"),
        receipt="<results>/receipts/train_repeat/{repeat}/{encoder}/{head}.json",
    log:
        "<logs>/train_repeat/{repeat}/{encoder}/{head}.log",
