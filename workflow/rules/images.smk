# Whole images: manifest, fingerprints, pooled features, heads, in the order in which the data travels.


from unchoke.targets.results import decides


include: "data.smk"


if config["cleaning"]:

    include: "cleaning.smk"


if decides(config):

    include: "decisions.smk"


include: "selection.smk"
include: "features.smk"


if config["cleaning"] and config["cleaning"]["features"]:

    include: "inspection.smk"


if CACHES:

    include: "caches.smk"


include: "heads.smk"
include: "labelling.smk"
include: "repeats.smk"


if config["networks"]:

    include: "network_inputs.smk"
    include: "networks.smk"


include: "report.smk"
