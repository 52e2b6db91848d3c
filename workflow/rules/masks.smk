# Images with masks: patches, labels, feature maps, mask heads, stitched masks, in the order in which the data travels.


include: "mask_inputs.smk"
include: "patches.smk"
include: "labels.smk"
include: "maps.smk"


if config["teacher"]:

    include: "teacher.smk"


include: "mask_heads.smk"
include: "stitching.smk"
include: "mask_report.smk"
