"""Pure: the sealed stores of a run, and their files as the rules name them.

The Snakefile reads this module, which therefore imports no numpy. A config is plain data here, as
``config.load.load_config`` returns it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from unchoke.config.caches import caches
from unchoke.names import MASK_KINDS, PIXELS, TEACHER, TEXT_KINDS, map_name, store_name
from unchoke.sources.locations import ARRAY_KINDS
from unchoke.store.cuts import chunk_bounds, chunk_count

Config = dict[str, Any]
RESULTS = "<results>"
"""Stands for the folder of the dataset; Snakemake fills it in."""

# Rows of arrays are small and come in one slice: a job would cost more than reading a few thousand of them.
_FINGERPRINTS_PER_JOB, _FINGERPRINTS_OF_ARRAYS_PER_JOB = 16, 512


class Store(NamedTuple):
    """A sealed store."""

    stem: str
    """Its path without the ending."""
    arrays: list[str]
    """Path below the store of a file of every array; ``{chunk}`` is open."""
    chunks_per_file: int = 1
    """How many chunks of the manifest one job takes, which writes one file an array."""

    @property
    def metadata(self) -> str:
        return f"{self.stem}.zarr/zarr.json"

    @property
    def seal(self) -> str:
        return f"{self.stem}.sealed.json"

    @property
    def origin(self) -> str:
        return f"{self.stem}.origin.json"

    @property
    def sealed(self) -> dict[str, str]:
        """What those who read the store wait for, by name."""
        return {"metadata": self.metadata, "seal": self.seal}

    def numbers(self, chunks: int) -> range:
        """Numbers of the files of an array; chunks: of the manifest."""
        return range(chunk_count(chunks, self.chunks_per_file))

    def chunks_in(self, number: int, chunks: int) -> range:
        """Which chunks of the manifest the file of this number holds.

        Behind the last file it is one that is not there either, whose rows Snakemake then misses.
        """
        first, behind = chunk_bounds(number, chunks, self.chunks_per_file)
        return range(first, max(behind, first + 1))

    def array_files(self, numbers: Iterable[int | str]) -> list[str]:
        """Some files of every array. Validity and record, which the same job writes, the seal looks for."""
        return [f"{self.stem}.zarr/{array.format(chunk=number)}" for array in self.arrays for number in numbers]


def has_masks(config: Config) -> bool:
    """Whether the dataset has masks, so that pixels are told apart, not images."""
    return config["dataset"]["kind"] in MASK_KINDS


def has_words(config: Config) -> bool:
    """Whether the masks are those of words, which are read from the maps that heads predict."""
    return config["dataset"]["kind"] in TEXT_KINDS


def task_of(config: Config) -> str:
    """What heads of this dataset predict, as ``run_record`` names it."""
    if has_words(config):
        return "detection"
    return "segmentation" if has_masks(config) else str(config["dataset"]["target"])


def views(config: Config) -> dict[str, tuple[str, str]]:
    """Encoder and view of every store of features, by its name: a view of an encoder is a store of its own."""
    found = {
        store_name(name, view): (name, view)
        for name, encoder in config["encoders"].items()
        for view in encoder["views"]
    }
    return found | ({TEACHER: (TEACHER, "identity")} if config["teacher"] else {})


def arrays(config: Config, encoder: str) -> list[str]:
    """The arrays of an encoder's stores, as ``Store.arrays``: maps of strides for masks, else pools; or a teacher's."""
    if encoder == TEACHER:
        said = ["logits", *(["features"] if config["teacher"]["features"] else [])]
        return [f"{array}/c/{{chunk}}/0/0/0" for array in said]
    settings = config["encoders"][encoder]
    if has_masks(config):
        return [f"{map_name(stride)}/c/{{chunk}}/0/0/0" for stride in settings["strides"]]
    return [f"{pool}/c/{{chunk}}/0" for pool in settings["pools"]]


def feature_stores(config: Config) -> list[str]:
    """Names of all stores that lie with the features: views of encoders, and caches of networks."""
    return [*views(config), *caches(config)]


def head_names(config: Config) -> list[str]:
    """Names that results of heads, of networks and of the teacher may carry."""
    return [*config["heads"], *config["networks"], *config["mask_heads"], TEACHER]


def seen_size(config: Config, encoder: str) -> int | None:
    """Height and width of what an encoder sees, px: those of a patch, or what the config says."""
    size: int | None = config["patches"]["size"] if has_masks(config) else config["encoders"][encoder]["image_size"]
    return size


def features(name: str) -> str:
    """The stem of a store of features."""
    return f"{RESULTS}/features/{name}"


def stores(config: Config) -> dict[str, Store]:
    """Every sealed store by its path below the results: those of features first, fingerprints, labels."""
    per_shard = config["chunks_per_shard"]
    found = {
        f"features/{name}": Store(features(name), arrays(config, encoder), per_shard)
        for name, (encoder, _) in views(config).items()
    }
    for name, cache in caches(config).items():
        found[f"features/{name}"] = Store(features(name), [cache.array], per_shard)
    if config["cleaning"]:
        files = ["hashes/c/{chunk}/0", "measures/c/{chunk}/0"]
        found["fingerprints"] = Store(f"{RESULTS}/fingerprints", files, fingerprints_per_job(config))
    if has_masks(config):
        found["labels"] = Store(f"{RESULTS}/labels", [f"{name}/c/{{chunk}}/0/0" for name in label_arrays(config)])
    return found


def encoders_in_use(config: Config) -> dict[str, Any]:
    """The encoders that a run reads features of; none where a teacher segments in the place of heads."""
    return {} if has_masks(config) and config["segment"]["head"] == TEACHER else dict(config["encoders"])


def stores_in_use(config: Config) -> dict[str, Store]:
    """Those of ``stores`` that a run reads, and so makes; others are made where they are asked for by name."""
    unread = {f"features/{encoder}" for encoder in config["encoders"].keys() - encoders_in_use(config)}
    return {name: store for name, store in stores(config).items() if name not in unread}


def label_arrays(config: Config) -> list[str]:
    """The arrays of the labels of a dataset with masks, or with words."""
    return ["mask", "threshold"] if has_words(config) else ["mask"]


def fingerprints_per_job(config: Config) -> int:
    """Chunks whose images one job fingerprints; for a config with cleaning."""
    of_arrays = config["dataset"]["kind"] in ARRAY_KINDS
    default = _FINGERPRINTS_OF_ARRAYS_PER_JOB if of_arrays else _FINGERPRINTS_PER_JOB
    return config["cleaning"]["chunks_per_job"] or default


def first_store(config: Config, encoder: str) -> Store:
    """An encoder's features in the first of its views."""
    return stores(config)[f"features/{store_name(encoder, config['encoders'][encoder]['views'][0])}"]


def seals_of_encoder(config: Config, encoder: str) -> list[str]:
    """Seals of what a head on this encoder reads; heads on pixels have no features."""
    if not has_masks(config):
        return [f"{features(encoder)}.sealed.json"]
    found = stores(config)
    names = ["labels"] if encoder == PIXELS else [f"features/{encoder}", "labels"]
    return [found[name].seal for name in names]
