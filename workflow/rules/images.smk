# Whole images: manifest, fingerprints, pooled features, heads, in the order in which the data travels.


include: "data.smk"


if config["cleaning"]:

    include: "cleaning.smk"


include: "selection.smk"
include: "features.smk"
include: "heads.smk"
include: "repeats.smk"
include: "report.smk"
