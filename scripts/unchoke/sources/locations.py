"""Pure: where the arrays of a dataset are: locations such as ``file.h5:x``, by split, and the names of their rows."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from unchoke.errors import UnchokeError
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION, SPLITS, suggestion
from unchoke.texts import clean_text

SPLIT_NAMES = {name: name for name in SPLITS} | {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}
"""What people call the splits."""

ARRAY_KINDS = ("hdf5", "npy", "zarr")
"""Kinds of source whose images are rows of arrays."""

ROLES = ("images", "labels", "groups")
"""What locations are given for."""

LABEL_ROLES = {CLASSIFICATION: "labels", REGRESSION: "numbers", MULTILABEL: "label_sets"}
"""The role of labels among the fields, by what heads predict: it says how they are read."""

Fields = Mapping[str, Mapping[str, str]]
"""Locations by role and split; the split is empty where one location holds all rows. Labels have one of LABEL_ROLES."""

NO_FIELDS: Fields = {}

_ROW = re.compile(r"(?s)(.+)\[(\d+)\]")


class Location(NamedTuple):
    """An array or a column in a file."""

    file: str
    """Below ``dataset.path``, with forward slashes; in a Zarr store's case a folder."""
    key: str
    """Its name in the file; empty where the file is the array."""

    def __str__(self) -> str:
        return f"{self.file}:{self.key}" if self.key else self.file


def parse_location(text: str) -> Location:
    """The file stands before the first colon, the key behind it."""
    file, _, key = text.partition(":")
    return Location(file, key)


def row_name(location: Location, row: int) -> str:
    """The path of an image that is a row of an array: ``file.h5:x[17]``."""
    return f"{location}[{row}]"


def parse_row(name: str) -> tuple[Location, int]:
    """Location and row of a name from ``row_name``; UnchokeError for any other name."""
    if (match := _ROW.fullmatch(name)) is None:
        raise UnchokeError(
            "A path names no row of an array.",
            found=repr(name),
            expected="file, key and row: 'file.h5:x[17]'",
            do="build the manifest again, or correct the kind of source",
        )
    return parse_location(match[1]), int(match[2])


def known_split(text: str) -> str:
    """train, val or test for what people write; ValueError names the nearest."""
    name = clean_text(text).lower()
    if name not in SPLIT_NAMES:
        raise ValueError(f"unknown split '{text}': {suggestion(name, SPLITS)}")
    return SPLIT_NAMES[name]


def by_split(locations: str | Mapping[str, str] | None) -> dict[str, str]:
    """Locations by split, under an empty name where one holds all rows; empty for None."""
    if locations is None:
        return {}
    return {"": locations} if isinstance(locations, str) else dict(locations)


def fields_of(dataset: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The locations of the config's section ``dataset``, which sources take as ``fields``; none for image files."""
    names = {**dict(zip(ROLES, ROLES, strict=True)), "labels": LABEL_ROLES[dataset.get("target", CLASSIFICATION)]}
    return {names[role]: by_split(dataset[role]) for role in ROLES if dataset[role] is not None}
