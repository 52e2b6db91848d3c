# What rules depend on where the config or the manifest says it, and the config's values that need a word of code.

from snakemake.sourcecache import LocalSourceFile
from unchoke.sources.locations import fields_of
from unchoke.store.cuts import chunk_bounds, chunk_count
from unchoke.config.encoders import ORIGINS, weights_name

WEIGHTS = {
    weights_name(e["model"], e["weights"], e["seed"]): e
    for e in config["encoders"].values()
}

# A view of an encoder is a store of its own: what is in it, by its name.
STORES = {
    store_name(name, view): (name, view)
    for name, encoder in config["encoders"].items()
    for view in encoder["views"]
}
if config["teacher"]:
    STORES[TEACHER] = (TEACHER, "identity")


wildcard_constraints:
    store="|".join(map(re.escape, STORES)),


MASKS = config["dataset"]["kind"] in MASK_KINDS
RESULTS = f"results/{config['dataset']['name']}"


# Snakemake formats the path of environment.yml, which has no wildcards, and stumbles over braces in that of the checkout.
LocalSourceFile.format = lambda self, **wildcards: self


def json_of(settings):
    """A part of the config as one JSON flag."""
    return json.dumps(settings, sort_keys=True)


def source_settings():
    """Leaves of the config that the manifest depends on, and the digest of what the source holds now."""
    dataset, split = config["dataset"], dict(config["dataset"]["split"])
    del split["repeats"]  # drawn from the manifest, which does not depend on them
    fields = fields_of(dataset)
    digest = sources.listing_digest(
        dataset["kind"],
        Path(dataset["path"]),
        split["group"],
        fields,
        record=Path("results", dataset["name"], "manifest.json"),
    )
    return {
        "kind": dataset["kind"],
        **split,
        # Functions, whose answers Snakemake does not search for wildcards: an expression may have {4}, a path {name}.
        "group": lambda wildcards: split["group"],
        "fields": lambda wildcards: json_of(fields),
        "listing": digest,
    }


def source_path(wildcards):
    """The folder or file of the images."""
    return config["dataset"]["path"]


@functools.cache  # Snakemake would look the same answer up for every chunk
def manifest_folder():
    """Where the manifest is; asking makes Snakemake wait for it."""
    # --batch cuts the seal's inputs before it looks at checkpoints, so that it needs the manifest as it stands.
    if workflow.dag_settings.batch:
        return Path("results", config["dataset"]["name"])
    made = checkpoints.build_patches if MASKS else checkpoints.build_manifest
    return Path(made.get().output.record).parent


def manifest_record():
    """What the manifest's record says."""
    return read_json(manifest_folder() / "manifest.json")


def chunk_rows(wildcards):
    """The rows file of a chunk, which the checkpoint writes without declaring it."""
    return f"{manifest_folder()}/rows/{wildcards.chunk}.csv"


# Further random splits, of which each has the results of all heads in a folder of its own.
REPEATS = range(1, config["dataset"]["split"]["repeats"])
REPEAT = "<results>/repeats/{repeat}"


def splits_flag(wildcards, input):
    """The table of a repeat as a flag, where a head is trained on one."""
    return ["--splits", input.splits] if hasattr(input, "splits") else []


# What a rule says of shards; nothing where there are none, so that results made before there were any still hold.
CHUNKS_PER_SHARD = config["chunks_per_shard"]
SHARD_PARAMS = {"chunks_per_shard": CHUNKS_PER_SHARD} if CHUNKS_PER_SHARD > 1 else {}
SHARD_FLAG = " --chunks-per-shard {params.chunks_per_shard}" if SHARD_PARAMS else ""


# Whose class the manifest looks for; nothing where none is named, so that manifests made before stay as they are.
POSITIVE = None if MASKS else config["evaluation"]["positive"]
POSITIVE_PARAMS = {} if POSITIVE is None else {"positive": lambda wildcards: POSITIVE}
POSITIVE_FLAG = " --positive {params.positive:q}" if POSITIVE_PARAMS else ""


def job_rows(job, per_job):
    """Rows files of the chunks that one job takes, of which all but the last take `per_job`."""
    chunks = range(*chunk_bounds(int(job), manifest_record()["chunks"], per_job))
    return [f"{manifest_folder()}/rows/{chunk}.csv" for chunk in chunks]


def shard_rows(wildcards):
    """Rows files of the chunks that one job encodes: one, or those of a shard."""
    if CHUNKS_PER_SHARD == 1:
        return chunk_rows(wildcards)
    return job_rows(wildcards.chunk, CHUNKS_PER_SHARD)


def store_arrays(encoder):
    """Every array of an encoder's stores: maps of strides where pixels are told apart, else pools; {chunk} is open."""
    if encoder == TEACHER:
        said = ["logits", *(["features"] if config["teacher"]["features"] else [])]
        return [f"{array}/c/{{chunk}}/0/0/0" for array in said]
    settings = config["encoders"][encoder]
    if MASKS:
        return [
            f"{map_name(stride)}/c/{{chunk}}/0/0/0" for stride in settings["strides"]
        ]
    return [f"{pool}/c/{{chunk}}/0" for pool in settings["pools"]]


def chunk_files(store):
    """Every chunk, or shard, of every array. Validity and record, which the same job writes, the seal looks for."""
    chunks = range(chunk_count(manifest_record()["chunks"], CHUNKS_PER_SHARD))
    return [
        f"<results>/features/{store}.zarr/{array.format(chunk=chunk)}"
        for array in store_arrays(STORES[store][0])
        for chunk in chunks
    ]


def store_chunks(wildcards):
    """Every chunk file of the store at hand."""
    return chunk_files(wildcards.store)


def all_chunks(wildcards):
    """Every chunk of every store: asked for by name, so that one deleted by hand is made again."""
    return [file for store in STORES for file in chunk_files(store)]


# Stores whose chunks say how long they took, less their ending; and all that say what could not be read.
TIMED_STORES = [f"<results>/features/{store}" for store in STORES]
if config["cleaning"]:
    TIMED_STORES.append("<results>/fingerprints")
SEALED = [*TIMED_STORES, *(["<results>/labels"] if MASKS else [])]
ALL_SEALS = [f"{store}.sealed.json" for store in SEALED]


def encoder_seals(wildcards):
    """Seals of what a head on this encoder reads; heads on pixels have no features."""
    if not MASKS:
        return [f"<results>/features/{wildcards.encoder}.sealed.json"]
    features = f"<results>/features/{wildcards.encoder}.sealed.json"
    return [
        *([] if wildcards.encoder == PIXELS else [features]),
        "<results>/labels.sealed.json",
    ]


def encoder_weights(name):
    """The weights of an encoder and the card that says what they are."""
    encoder = config["encoders"][name]
    stem = weights_name(encoder["model"], encoder["weights"], encoder["seed"])
    return {
        "weights": f"<resources>/weights/{stem}.safetensors",
        "card": f"<resources>/weights/{stem}.json",
    }


def seen_size(wildcards):
    """Height and width of what an encoder sees, px: that of a patch, or what the config says."""
    size = config["encoders"][wildcards.encoder]["image_size"]
    return config["patches"]["size"] if MASKS else size


def local_weights(wildcards):
    """The file that weights are taken from, where the config names one."""
    origin = WEIGHTS[wildcards.weights]["weights"]
    return [] if origin in ORIGINS else [origin]


def head_stores(wildcards):
    """Metadata and seals of the stores whose views a head reads."""
    settings = config["heads"][wildcards.head]
    views = sorted({*settings["train_views"], *settings["test_views"]})
    names = [store_name(wildcards.encoder, view) for view in views]
    return {
        "metadata": [f"<results>/features/{name}.zarr/zarr.json" for name in names],
        "seals": [f"<results>/features/{name}.sealed.json" for name in names],
    }


def head_settings(wildcards):
    """A head's section of the config as one JSON flag, less what does not touch its result."""
    settings = {
        key: value
        for key, value in config["heads"][wildcards.head].items()
        if key != "encoders"
    }
    return json_of(settings)


def image_root(wildcards):
    """The folder that the manifest's paths are below."""
    path = Path(config["dataset"]["path"])
    table = config["dataset"]["kind"] == "csv" or MASKS and path.is_file()
    return str(path.parent if table else path)


def sealed_stores(wildcards, input):
    """The stores whose metadata is asked for."""
    return [str(Path(metadata).parent) for metadata in input.metadata]


def whole_config(wildcards):
    """The config as one JSON flag."""
    return json_of(config)


def weights_files(wildcards):
    """The weights file of every encoder as one JSON flag."""
    stems = {
        name: weights_name(e["model"], e["weights"], e["seed"])
        for name, e in config["encoders"].items()
    }
    return json.dumps(
        {name: f"resources/weights/{stem}.safetensors" for name, stem in stems.items()}
    )


def planned_mem_mb(wildcards, input):
    """Memory of the machine for one chunk, MB: what planning took, and as much again for decoded pictures.

    For a shard also three times its features, of 2,048 numbers in each of three pools.
    """
    rows = config["chunk_size"] * CHUNKS_PER_SHARD if CHUNKS_PER_SHARD > 1 else 0
    return round(
        2 * measured_peaks(Path(input.plan))["host_mb"]
        + rows * 3 * 3 * 2 * 2048 / 2**20
    )


def planned_vram_mb(wildcards, input):
    """Memory of the card for one chunk, MB."""
    plan = measured_peaks(Path(input.plan))
    return round(plan["peak_mb"]) if plan["device"] == "cuda" else 0


def head_mem_mb(wildcards, input):
    """Memory of the machine for one head, MB: all features thrice as they are computed with, and torch."""
    settings = config["heads"][wildcards.head]
    seal = read_json(Path(input.seals[0]))
    views = max(len(settings["train_views"]), len(settings["test_views"]))
    values = seal["images"] * seal["widths"][settings["pool"]] * views
    size = 8 if settings.get("precision") == "float64" else 4
    return 2000 + 3 * size * values // 2**20


def first_store(wildcards):
    """Metadata and seal of an encoder's features in the first of its views."""
    view = config["encoders"][wildcards.encoder]["views"][0]
    store = f"<results>/features/{store_name(wildcards.encoder, view)}"
    return {"metadata": f"{store}.zarr/zarr.json", "seal": f"{store}.sealed.json"}


def report_entry(path, category, label, caption=None, **place):
    """A file of the report with its caption, workflow/report/<name>.rst, and its place in the menu."""
    return report(
        f"<results>/report/{path}",
        caption=f"../report/{caption or Path(path).stem}.rst",
        category=category,
        labels={"shown": label},
        **place,
    )


def head_entry(name, label):
    """A figure of a head for the report."""
    return report_entry(
        f"{{encoder}}/{{head}}/{name}",
        "2 Heads",
        label,
        subcategory="{encoder} · {head}",
    )


def report_files(wildcards):
    """Every figure and table of the report."""
    heads = [
        f"{encoder}/{head}/{figure}.png"
        for head, settings in config["heads"].items()
        for encoder in settings["encoders"] or config["encoders"]
        for figure in ("settings", "parts", "confusion", "reliability", "mistakes")
    ]
    maps = [f"{encoder}/embedding.png" for encoder in config["encoders"]]
    pages = ("leaderboard", "quarantine", "durations")
    both = [f"{page}.{kind}" for page in pages for kind in ("png", "html")]
    return [f"<results>/report/{file}" for file in (*both, *heads, *maps)]


def finished_runs(wildcards):
    """The metadata of every head that a run is for, on all splits; of masks the scores and grids too."""
    places = segmenting_places() if MASKS else head_places()
    of_masks = [f"<results>/scores/{encoder}/{head}.json" for encoder, head in places]
    of_masks += ["<results>/grids.json"]
    folders = ["<results>", *(REPEAT.format(repeat=repeat) for repeat in REPEATS)]
    return [
        *(
            f"{folder}/heads/{encoder}.zarr/{head}/zarr.json"
            for folder in folders
            for encoder, head in places
        ),
        *(of_masks if MASKS else []),
    ]


def evaluation_flags(wildcards):
    """How heads are ranked and compared, and at which specificity those of two classes are read."""
    asked = config["evaluation"]
    flags = {"task": "classification"}
    flags |= {key: asked[key] for key in ("metric", "specificity", "positive")}
    flags |= {"repeats": len(REPEATS) + 1} if REPEATS else {}
    if MASKS:
        flags = {"task": "segmentation", "metric": asked["mask_metric"]}
        flags |= {key: asked[key] for key in ("resamples", "seed")}
    return [f"--{key}={value}" for key, value in flags.items() if value is not None]
