# in:   <results>/manifest.csv, the seals of all stores
# out:  <results>/quarantine.csv; for each encoder quarantine/<encoder>.csv, and its .json where it lists few enough images

from unchoke.names import NO_MASK, NO_WORDS
from unchoke.targets.stores import seals_of_encoder


rule list_quarantine:
    input:
        manifest="<results>/manifest.csv",
        seals=[store.seal for store in USED_STORES.values()],
    output:
        quarantine="<results>/quarantine.csv",
        receipt="<results>/receipts/list_quarantine.json",
    log:
        "<logs>/list_quarantine.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.QUARANTINE,
    shell:
        '"$UNCHOKE_SCRIPTS"/warm list_quarantine'
        " --manifest {input.manifest:q}"
        " --seals {input.seals:q}"
        " --quarantine {output.quarantine:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


# An encoder's heads wait for its own list alone: another encoder, or a view, is no reason to train them again.
use rule list_quarantine as list_encoder_quarantine with:
    input:
        manifest="<results>/manifest.csv",
        seals=lambda wildcards: seals_of_encoder(config, wildcards.encoder),
    output:
        quarantine="<results>/quarantine/{encoder}.csv",
        receipt="<results>/receipts/list_quarantine/{encoder}.json",
    log:
        "<logs>/list_quarantine/{encoder}.log",
    localrule: True


# What is known before anything is encoded: from the list of the images, and from fingerprints.
use rule list_quarantine as list_unusable with:
    input:
        manifest="<results>/manifest.csv",
        seals=[STORES["fingerprints"].seal] if "fingerprints" in STORES else [],
    output:
        quarantine="<results>/unusable.csv",
        receipt="<results>/receipts/list_unusable.json",
    log:
        "<logs>/list_unusable.log",
    localrule: True


# A teacher needs no masks: images without one are listed, but they are none that cannot be used.
SPARED = f" --spare '{NO_MASK}' '{NO_WORDS}'" if config["teacher"] else ""


rule check_quarantine:
    input:
        manifest="<results>/manifest.csv",
        quarantine="<results>/quarantine/{encoder}.csv",
    output:
        summary="<results>/quarantine/{encoder}.json",
        receipt="<results>/receipts/check_quarantine/{encoder}.json",
    log:
        "<logs>/check_quarantine/{encoder}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        version=versions.QUARANTINE,
        max_bad_share=config["dataset"]["max_bad_share"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm check_quarantine'
        " --manifest {input.manifest:q}"
        " --quarantine {input.quarantine:q}"
        " --max-bad-share {params.max_bad_share}"
        f"{SPARED}"
        " --summary {output.summary:q}"
        " --receipt {output.receipt:q}"
        " > {log:q} 2>&1"


# New chunks of features wait for it: too many unusable images stop the run before they are encoded.
use rule check_quarantine as check_unusable with:
    input:
        manifest="<results>/manifest.csv",
        quarantine="<results>/unusable.csv",
    output:
        summary="<results>/unusable.json",
        receipt="<results>/receipts/check_unusable.json",
    log:
        "<logs>/check_unusable.log",
    localrule: True
