"""Pure: names and numbers that many modules share, and the nearest right one for a wrong one."""

import difflib
from collections.abc import Iterable

SPLITS = ("train", "val", "test")
CLASSIFICATION, REGRESSION, MULTILABEL = "classification", "regression", "multilabel"
"""What heads on whole images predict: one class, a number, or any number of labels."""
IMAGE_TASKS = (CLASSIFICATION, REGRESSION, MULTILABEL)
SEPARATORS = ";|"
"""What may stand between the labels of an image in one cell; the first is that of our own tables."""
NO_LABEL = "no label"
"""Why a row of the manifest is excluded that waits for its label: it has features and predictions, and no figures."""
UNLABELLED = "unlabelled"
"""Takes the place of a split where rows without a label are meant."""
DRAWN = ("fraction", "per_class")
"""Sizes of a subset to train on."""
LISTED = ("diverse", "typical", "uncertain")
"""Sizes of a list of images to label."""
TEXT_KINDS = ("text", "words")
"""Kinds of source whose images have words, as polygons."""
MASK_KINDS = ("masks", "canvases", *TEXT_KINDS)
"""Kinds of source whose images are told apart pixel by pixel; masks of words are drawn from the polygons."""
TEXT_CLASSES = {"background": [0], "text": [1]}
"""Classes of pixels where there are words."""
NO_MASK, NO_WORDS = "no mask", "no gt file"
"""Why an image has no labels of pixels, which a teacher does not need."""
PIXELS = "pixels"
"""Takes the place of an encoder where a head reads pixels."""
TEACHER = "teacher"
"""Takes the place of an encoder and of a head in a teacher's results."""
SMALL_CNN = "small_cnn"
"""The network of our own among timm's models."""
PROBES = ("logistic", "linear")
"""Kinds of heads that are one linear layer, with which a network's classifier may begin; the first choice first."""
OF_OTHER_TRAININGS = ("learning_rates", "weight_decays", "seeds", "minutes", "cache_gb")
"""Settings of a network that a training of one learning rate, weight decay and seed does not depend on."""
ACTIVATIONS = "activations"
"""The array of a store that holds the activations at a cut."""
WEIGHTS = "resources/weights"
"""Where the workflow keeps weights and their cards, below the folder that it is run in."""
ORIGINS = ("pretrained", "packaged", "untrained")
"""Values of an encoder's `weights` that are no path."""
TURNS = ("identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "transverse")
"""The eight flips and turns of a picture."""
IGNORED = 255
"""The label of ignored pixels: padding, and pixels without an annotation."""
MAX_PIXELS = 178_956_970
"""Pixels of a picture by default, at most: Pillow's own limit, 1 GiB of RGB with a third to spare."""
LEAST_PROFILED = 32
"""Readable images below which the rates of a profile say little."""
MAX_ROWS = 20_000_000
"""Rows that a dataset may have, and so the most that can be asked of it. The manifest is held in memory, and takes
0.6 KB a row while it is made: 12 GB."""


def store_name(encoder: str, view: str) -> str:
    """Name of the store that holds a view: the encoder's own for ``identity``, else ``<encoder>@<view>``."""
    return encoder if view == "identity" else f"{encoder}@{view}"


def cut_pool(blocks: int) -> str:
    """In the place of a pool: the activations before the last `blocks` blocks."""
    return f"last{blocks}"


def blocks_of_pool(pool: str) -> int:
    """How many last blocks ``cut_pool`` names; 0 where it is a pool."""
    digits = pool.removeprefix("last")
    return int(digits) if pool.startswith("last") and digits.isdecimal() else 0


def cut_store(encoder: str, blocks: int) -> str:
    """In the place of an encoder's name in ``store_name``: its activations before the last `blocks` blocks.

    No name of a config has a tilde, so that no encoder can be called so.
    """
    return f"{encoder}~{cut_pool(blocks)}"


def pixel_store(encoder: str | None, image_size: int | None = None) -> str:
    """The same for pixels: as an encoder sees them, or of networks without one that see `image_size` px."""
    return f"{encoder}~{PIXELS}" if encoder else f"{PIXELS}~{image_size}"


def member_name(rate: float, decay: float, seed: int) -> str:
    """Name of the training of a network with one learning rate, weight decay and seed: ``rate0.001_decay0.0_seed0``."""
    return f"rate{float(rate)}_decay{float(decay)}_seed{seed}"


def map_name(stride: int) -> str:
    """Name of the array that holds the feature maps of a stride."""
    return f"s{stride}"


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The `count` names of `known` that look most like `name`, best first; empty where none does."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)


def suggestion(name: str, known: Iterable[str]) -> str:
    """``did you mean 'pool'?``, or the list of known names where none is similar."""
    known = list(known)
    near = nearest(name, known, count=1)
    return f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}"
