"""Arrays in HDF5, .npy or Zarr: which hold the images, which their labels and groups, and of which split."""

import importlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from unchoke.cli.look.found import GROUPS, LABELS, Found, words
from unchoke.config.dataset import PRESETS
from unchoke.errors import UnchokeError
from unchoke.sources.arrays.array import check_images, listed, open_located
from unchoke.sources.arrays.npy import open_npy
from unchoke.sources.csv_files import read_csv
from unchoke.sources.locations import SPLIT_NAMES, Location, parse_location

_IMAGES = ("x", "images", "image", "img", "imgs", "data", "pixels")


class _Array(NamedTuple):
    """An array or a column, and what it may be."""

    place: Location
    shape: tuple[int, ...]
    text: str
    """Type and shape, for people."""
    fault: str
    """Why it holds no images; empty where it does."""

    @property
    def name(self) -> str:
        return words(self.place.key.rpartition("/")[2] or Path(self.place.file).stem)

    @property
    def split(self) -> str:
        """The split that a part of its location names."""
        return next((SPLIT_NAMES[word] for word in words(str(self.place)).split() if word in SPLIT_NAMES), "")

    def named(self, known: Iterable[str]) -> bool:
        """Whether its name is one of `known`, or has it as a word."""
        return any(name == self.name or name in self.name.split() for name in known)


def look_at(root: Path, files: list[str], kind: str) -> Found:
    """The source in `files` below `root`; UnchokeError lists the arrays where images or labels cannot be told."""
    if kind == "hdf5" and all((root / place.file).is_file() for place in _pcam()):
        return Found({"kind": kind, "path": str(root), "preset": "pcam"}, "PatchCamelyon's own files")
    arrays = list(_arrays(root, files, kind))
    images = [array for array in arrays if not array.fault]
    if not images:
        raise _no_images(arrays, root, files)
    others = [*(array for array in arrays if array.fault), *_beside(root, files)]
    splits = {array.split for array in images}
    chosen = {split: _images(images, split, root) for split in sorted(splits)}
    labels = {split: _column(others, image, LABELS) for split, image in chosen.items()}
    if missing := [chosen[split] for split, label in labels.items() if label is None]:
        raise _no_labels(missing[0], others, root)
    groups = {split: _column(others, image, GROUPS) for split, image in chosen.items()}
    dataset = {"kind": kind, "path": str(root), "images": _locations(chosen), "labels": _locations(labels)}
    if all(groups.values()):
        dataset["groups"] = _locations(groups)
    notes = [f"Images are {image.place}, {image.text}." for image in chosen.values()]
    return Found(dataset, f"arrays in {listed(files)}", notes)


def _pcam() -> list[Location]:
    named = PRESETS["pcam"]
    return [parse_location(place) for role in ("images", "labels", "groups") for place in named[role].values()]


def _locations(chosen: dict[str, Any]) -> str | dict[str, str]:
    """One location, or one a split."""
    return (
        str(chosen[""].place) if set(chosen) == {""} else {split: str(array.place) for split, array in chosen.items()}
    )


def _arrays(root: Path, files: list[str], kind: str) -> Iterator[_Array]:
    module = importlib.import_module(f"unchoke.sources.kinds.{kind}")
    opener = open_npy if kind == "npy" else module.open_array
    for file in files:
        keys = [""] if kind == "npy" else module.array_names(root / file)
        for key in keys:
            place = Location(file, key)
            yield _described(place, open_located(root, place, opener))


def _beside(root: Path, files: list[str]) -> Iterator[_Array]:
    """Columns of CSV files, and other .npy files, which may hold labels of arrays of any kind."""
    for file in sorted(file for file in root.glob("*.npy") if file.name not in files):
        yield _described(Location(file.name, ""), open_located(root, Location(file.name, ""), open_npy))
    for file in sorted(root.glob("*.csv")):
        table = read_csv(file)
        for column in filter(None, table.columns):
            yield _Array(Location(file.name, column), (len(table.rows),), f"{len(table.rows):,} rows", "a column")


def _described(place: Location, array: Any) -> _Array:
    shape = tuple(array.shape)
    try:
        check_images(array, str(place))
    except UnchokeError as error:
        fault = str(error)
    else:
        fault = "one value a row" if math.prod(shape[1:3]) == 1 else ""
    return _Array(place, shape, f"{array.dtype} {shape}", fault)


def _images(images: list[_Array], split: str, root: Path) -> _Array:
    """The array of images of a split: the only one, or the only one that is named so."""
    there = [array for array in images if array.split == split]
    named = [array for array in there if array.named(_IMAGES)]
    if len(there) == 1 or len(named) == 1:
        return (named or there)[0]
    raise UnchokeError(
        "There are several arrays of images.",
        found=listed([f"{array.place} {array.text}" for array in there]),
        expected=f"one, or one named {', '.join(_IMAGES[:3])}",
        where=str(root.absolute()),
        do=f"write the config by hand: dataset: {{images: '{there[0].place}', labels: …}}, as docs/arrays.md has it",
    )


def _column(others: list[_Array], images: _Array, names: tuple[str, ...]) -> _Array | None:
    """The likeliest of the arrays with one value for each of the images."""
    fit = [
        other
        for other in others
        if other.shape[:1] == images.shape[:1] and math.prod(other.shape) == images.shape[0] and other.named(names)
        if other.split in ("", images.split)
    ]
    return min(fit, key=lambda other: (other.place.file != images.place.file, not other.split), default=None)


def _no_images(arrays: list[_Array], root: Path, files: list[str]) -> UnchokeError:
    largest = max(arrays, key=lambda array: math.prod(array.shape), default=None)
    return UnchokeError(
        "No array holds images." if largest is None or len(largest.shape) < 3 else largest.fault.splitlines()[0],
        found=listed([f"{array.place} {array.text}" for array in arrays]) or "no arrays",
        expected="uint8 (rows, height, width, 3), or grey: (rows, height, width)",
        where=", ".join(str(root / file) for file in files[:3]),
        do=largest.fault.rpartition("do:")[2].strip() if largest else "name another file",
    )


def _no_labels(images: _Array, others: list[_Array], root: Path) -> UnchokeError:
    return UnchokeError(
        "There are images, and no labels beside them.",
        found=f"{images.place} {images.text}; besides "
        + (listed([f"{other.place} {other.text}" for other in others]) or "nothing"),
        expected=f"{images.shape[0]:,} values in an array, an .npy file or a CSV's column that is named label or y",
        where=str(root.absolute()),
        do="name it so, or write the config by hand as docs/arrays.md has it",
    )
