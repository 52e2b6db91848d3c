# Whole images: manifest, pooled features, heads, leaderboard, in the order in which the data travels.


include: "data.smk"
include: "features.smk"
include: "heads.smk"
include: "experiments.smk"
include: "report.smk"
