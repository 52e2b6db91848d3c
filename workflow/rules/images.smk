# Whole images: manifest, fingerprints, pooled features, heads, in the order in which the data travels.


include: "cleaning_inputs.smk"
include: "data.smk"


if CLEANING:

    include: "cleaning.smk"


include: "selection.smk"
include: "features.smk"


if CACHES:

    include: "caches.smk"


include: "heads.smk"
include: "repeats.smk"


if config["networks"]:

    include: "networks.smk"


include: "report.smk"
