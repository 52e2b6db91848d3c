# What rules for masks depend on where the config or the grids of the images say it.

from unchoke.images.grid import Grid
from unchoke.store.cuts import chunks_of

# Where heads are trained, and predict: everywhere but under the teacher.
ENCODERS_OF_HEADS = "|".join(map(re.escape, [*config["encoders"], PIXELS]))


def mask_head_places():
    """Encoder and name of every mask head; heads on pixels stand under an encoder of that name."""
    return [
        (encoder, name)
        for name, head in config["mask_heads"].items()
        for encoder in (
            [PIXELS]
            if head["kind"] == "unet"
            else head["encoders"] or config["encoders"]
        )
    ]


def segmenting_places():
    """Encoder and name of the mask heads that segment whole images; the teacher stands under both names."""
    if config["segment"]["head"] == TEACHER:
        return [(TEACHER, TEACHER)]
    wanted = config["segment"]["heads"]
    return [place for place in mask_head_places() if not wanted or place[1] in wanted]


@functools.cache
def grids():
    """The grid of every image, by image_id."""
    return read_json(manifest_folder() / "grids.json")


def grid_of(image):
    """How an image is cut into patches, and its mask into bands."""
    size, overlap = (config["patches"][key] for key in ("size", "overlap"))
    return Grid(grids()[image]["height"], grids()[image]["width"], size, overlap)


def patch_chunks(image, rows):
    """Numbers of the chunks in which some rows of an image's patches lie."""
    grid, first = grid_of(image), grids()[image]["first"]
    places = first + rows.start * grid.columns, first + rows.stop * grid.columns
    return chunks_of(*places, config["patches"]["per_chunk"])


def segmented_images():
    """The images of the splits that are segmented."""
    return [
        image
        for image, grid in grids().items()
        if grid["split"] in config["segment"]["splits"]
    ]


def mask_rows(wildcards):
    """The rows file of the labels of a chunk, which the checkpoint writes without declaring it."""
    return f"{manifest_folder()}/mask_rows/{wildcards.chunk}.csv"


def label_chunks(wildcards):
    """Every chunk file of the labels."""
    chunks = range(manifest_record()["chunks"])
    return [f"<results>/labels.zarr/mask/c/{chunk}/0/0" for chunk in chunks]


def mask_head_inputs(wildcards):
    """The sealed feature maps that a mask head reads, and its encoder, none for heads on pixels; and its teacher."""
    name, taught = wildcards.encoder, {}
    if config["mask_heads"][wildcards.head]["distil"]:
        taught = {
            "teacher": f"<results>/features/{TEACHER}.zarr/zarr.json",
            "teacher_seal": f"<results>/features/{TEACHER}.sealed.json",
            "teacher_quarantine": f"<results>/quarantine/{TEACHER}.json",
        }
    if name == PIXELS:
        return taught
    store = f"<results>/features/{name}"
    return {
        **encoder_weights(name),
        "metadata": f"{store}.zarr/zarr.json",
        "seal": f"{store}.sealed.json",
        **taught,
    }


def mask_head_source(wildcards, input):
    """Flags that say where a mask head reads its feature maps, none for heads on pixels; and what its teacher says."""
    taught = []
    if config["mask_heads"][wildcards.head]["distil"]:
        taught = ["--teacher", str(Path(input.teacher).parent)]
    if wildcards.encoder == PIXELS:
        return taught
    strides = config["encoders"][wildcards.encoder]["strides"]
    files = {
        "--store": Path(input.metadata).parent,
        "--weights": input.weights,
        "--card": input.card,
    }
    return [
        *(str(part) for pair in files.items() for part in pair),
        "--strides",
        *map(str, strides),
        *taught,
    ]


def mask_head_settings(wildcards):
    """A mask head's section of the config as one JSON flag, less what does not touch its result."""
    settings = {
        **config["mask_heads"][wildcards.head],
        "choose_by": config["evaluation"]["mask_metric"],
    }
    untouched = {"encoders", *([] if settings["distil"] else ["distil"])}
    return json.dumps(
        {key: value for key, value in settings.items() if key not in untouched},
        sort_keys=True,
    )


def mask_head_threads(wildcards):
    """Threads that a mask head trains with; `--cores` may leave it fewer processors, but no other bits."""
    return config["mask_heads"][wildcards.head]["threads"]


def mask_head_mem_mb(wildcards):
    """Memory of the machine for one mask head, MB: its patches, and torch with the activations of a batch."""
    settings = config["mask_heads"][wildcards.head]
    activations = settings["batch_size"] * config["patches"]["size"] ** 2 * 4 * 512
    return 2000 + settings["memory_mb"] + activations // 2**20


def patch_inputs(wildcards):
    """What a mask head sees of a chunk of patches: feature maps, or the rows that say where pixels are."""
    if wildcards.encoder == PIXELS:
        return []
    store = f"<results>/features/{wildcards.encoder}.zarr"
    return [
        f"{store}/{array.format(chunk=wildcards.chunk)}"
        for array in store_arrays(wildcards.encoder)
    ]


def patch_store(wildcards, input):
    """The flag that names the store of the feature maps; none for heads on pixels."""
    if wildcards.encoder == PIXELS:
        return []
    return ["--store", str(Path(input[0]).parents[5])]


def map_store(wildcards):
    """The flag that names the sealed store of the feature maps; none for heads on pixels."""
    if wildcards.encoder == PIXELS:
        return []
    return ["--store", f"{RESULTS}/features/{wildcards.encoder}.zarr"]


def band_chunks(wildcards):
    """Numbers of the chunks whose patches reach into a band of an image."""
    image = wildcards.image
    return patch_chunks(image, grid_of(image).rows_at(int(wildcards.band)))


def band_predictions(wildcards):
    """What was predicted for the patches of a band."""
    store = f"<results>/predictions/{wildcards.encoder}/{wildcards.head}.zarr"
    return [f"{store}/probability/c/{chunk}/0/0/0" for chunk in band_chunks(wildcards)]


def band_labels(wildcards):
    """The true labels of the patches of a band."""
    return [
        f"<results>/labels.zarr/mask/c/{chunk}/0/0" for chunk in band_chunks(wildcards)
    ]


def mask_bands(encoder, head, image):
    """Every band of an image's mask."""
    store = f"<results>/stitched/{encoder}/{head}/{image}.zarr"
    bands = range(grid_of(image).band_count)
    return [f"{store}/mask/c/{band}/0" for band in bands]


def image_bands(wildcards):
    """Every band of the mask at hand."""
    return mask_bands(wildcards.encoder, wildcards.head, wildcards.image)


def mask_files(encoder, head, image):
    """The finished mask of an image."""
    stem = f"<results>/stitched/{encoder}/{head}/{image}"
    return [f"{stem}{ending}" for ending in (".zarr/zarr.json", ".png", ".json")]


def all_masks(wildcards):
    """Every file of every mask: asked for by name, so that one deleted by hand is made again."""
    return [
        file
        for place in segmenting_places()
        for image in segmented_images()
        for file in [*mask_files(*place, image), *mask_bands(*place, image)]
    ]


def scored_masks(wildcards):
    """The finished masks of all images that a head segments."""
    return [
        file
        for image in segmented_images()
        for file in mask_files(wildcards.encoder, wildcards.head, image)
    ]


def patch_settings(wildcards):
    """How images are cut into patches, as one JSON flag."""
    return json_of(config["patches"])


def class_values(wildcards):
    """The mask values of every class, in the order of the classes, as one JSON flag."""
    return json.dumps(config["dataset"]["classes"])


def mask_report_files(wildcards):
    """Every figure and table of the report."""
    heads = [
        f"{encoder}/{head}/{figure}.png"
        for encoder, head in segmenting_places()
        if encoder != TEACHER  # which has no curves
        for figure in ("mask_curves", "mask_overlays", "mask_confusion")
    ]
    pages = ("leaderboard", "quarantine", "durations")
    both = [f"{page}.{kind}" for page in pages for kind in ("png", "html")]
    return [f"<results>/report/{file}" for file in (*both, *heads)]
