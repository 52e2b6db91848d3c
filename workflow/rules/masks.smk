# Images with masks: patches, labels, feature maps, mask heads, stitched masks, in the order in which the data travels.


from unchoke.targets.stores import has_words

# Where heads are trained, and predict: everywhere but under the teacher.
ENCODERS_OF_HEADS = "|".join(map(re.escape, [*config["encoders"], PIXELS]))


include: "patches.smk"
include: "labels.smk"
include: "maps.smk"


if config["teacher"]:

    include: "teacher.smk"


include: "mask_heads.smk"
include: "stitching.smk"
include: "text_scores.smk" if has_words(config) else "mask_scores.smk"
include: "text_report.smk" if has_words(config) else "mask_report.smk"
