"""Pure: names that many modules share, and the nearest right one for a wrong one."""

import difflib
from collections.abc import Iterable

SPLITS = ("train", "val", "test")
MASK_KINDS = ("masks", "canvases")
"""Kinds of source whose images have masks."""
PIXELS = "pixels"
"""Stands for an encoder where a head reads the pixels themselves."""
TEACHER = "teacher"
"""Stands for an encoder, and for a head, where a teacher speaks."""
TURNS = ("identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "transverse")
"""The eight flips and turns of a picture."""


def store_name(encoder: str, view: str) -> str:
    """Name of the store that holds a view: the encoder's own for ``identity``, else ``<encoder>@<view>``."""
    return encoder if view == "identity" else f"{encoder}@{view}"


def map_name(stride: int) -> str:
    """Name of the array that holds the feature maps of a stride."""
    return f"s{stride}"


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The `count` names of `known` that look most like `name`, best first; empty where none does."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)


def suggestion(name: str, known: Iterable[str]) -> str:
    """``did you mean 'pool'?``, or the list of what is known where nothing is near."""
    known = list(known)
    near = nearest(name, known, count=1)
    return f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}"
