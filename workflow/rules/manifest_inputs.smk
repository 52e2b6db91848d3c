# What rules ask of the manifest, for which Snakemake then waits, and of the images that it lists.

import functools

from unchoke.config.caches import caches
from unchoke.machine.receipts import read_json
from unchoke.names import NO_LABEL
from unchoke.sources import source as sources
from unchoke.targets.memory import cache_mb
from unchoke.sources.locations import fields_of
from unchoke.targets.masks import Masks

# Told only where images are forgotten, so that manifests made before there was a choice stay as they are.
FORGETS = config["dataset"]["vanished"] == "forget"
VANISHED_PARAMS = {"vanished": "forget"} if FORGETS else {}
VANISHED_FLAG = " --vanished {params.vanished}" if FORGETS else ""


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
        record=Path(RESULTS, "manifest.json"),
    )
    return {
        "kind": dataset["kind"],
        **split,
        # Functions, whose answers Snakemake does not search for wildcards: an expression may have {4}, a path {name}.
        "group": lambda wildcards: split["group"],
        "fields": lambda wildcards: json_of(fields),
        "path": lambda wildcards: dataset["path"],
        "listing": digest,
        **VANISHED_PARAMS,
    }


def image_root(wildcards):
    """The folder that the manifest's paths are below."""
    dataset = config["dataset"]
    return str(sources.image_root(dataset["kind"], Path(dataset["path"])))


@functools.cache  # Snakemake would look the same answer up for every chunk
def manifest_folder():
    """Where the manifest is; asking makes Snakemake wait for it."""
    # --batch cuts the seal's inputs before it looks at checkpoints, so that it needs the manifest as it stands.
    if workflow.dag_settings.batch:
        return Path(RESULTS)
    made = checkpoints.build_patches if MASKS else checkpoints.build_manifest
    return Path(made.get().output.record).parent


@functools.cache
def manifest_chunks():
    """Number of the manifest's chunks."""
    return read_json(manifest_folder() / "manifest.json")["chunks"]


@functools.cache
def has_unlabelled():
    """Whether images of the manifest wait for a label."""
    record = read_json(manifest_folder() / "manifest.json")
    return NO_LABEL in record["excluded"]


def chunk_rows(wildcards):
    """The rows file of a chunk, which the checkpoint writes without declaring it."""
    return f"{manifest_folder()}/rows/{wildcards.chunk}.csv"


def rows_for(store):
    """Gives the rows files of the chunks that a job of a store takes."""
    return lambda wildcards: [
        f"{manifest_folder()}/rows/{chunk}.csv"
        for chunk in store.chunks_in(int(wildcards.chunk), manifest_chunks())
    ]


@functools.cache
def planned_caches():
    """Asking makes Snakemake wait until caches are known to be small enough."""
    return workflow.dag_settings.batch or checkpoints.plan_caches.get()


def cache_rows_for(store):
    """As ``rows_for``, for a cache."""

    def rows(wildcards):
        planned_caches()
        return rows_for(store)(wildcards)

    return rows


def cache_mem_mb(cache):
    """Gives the memory of a job that makes a chunk of a cache, MB."""
    rows = config["chunk_size"] * config["chunks_per_shard"]
    name = cache._replace(view="identity").name

    def mem_mb(wildcards, input):
        plan = Path(input.plan) if hasattr(input, "plan") else None
        return cache_mb(plan, Path(RESULTS, "caches.json"), name, rows)

    return mem_mb


# Stores of which this run asks every file.
WHOLE = set()


def store_files(store):
    """Every file of a store that rules name."""
    WHOLE.add(store.stem)
    # Snakemake would not ask again the jobs that it finds while it looks at checkpoints which were there.
    if Path(store.stem).name in caches(config):
        planned_caches()
    return store.array_files(store.numbers(manifest_chunks()))


def checked_before(store):
    """Gives what a new chunk of a store waits for: the check that few enough images are unusable.

    Chunks that are there do not depend on it, nor does a chunk that is asked for alone.
    """
    first = store.array_files(["{chunk}"])[0].replace("<results>", RESULTS)

    def checked(wildcards):
        there = Path(first.replace("{chunk}", wildcards.chunk)).exists()
        return [] if there or store.stem not in WHOLE else UNCHANGING

    return checked


@functools.cache
def masks():
    """How the images of a dataset with masks are cut."""
    return Masks(config, read_json(manifest_folder() / "grids.json"))


def batch_images(wildcards):
    """Ids of the images that a job stitches together."""
    return masks().batches[int(wildcards.batch)]
