"""The listing of array sources: each row of a dataset's arrays is an image."""

import math
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_json
from unchoke.names import SPLITS, suggestion
from unchoke.sources.arrays.array import ArrayOpener, check_images, open_located
from unchoke.sources.arrays.folders import files_of_store
from unchoke.sources.arrays.gaps import check_stored, refers_to
from unchoke.sources.arrays.values import read_values
from unchoke.sources.locations import LABEL_ROLES, Fields, Location, parse_location, row_name
from unchoke.sources.source import ImageFile, Listing, entries_digest, size_and_time


def list_rows(root: Path, fields: Fields, open_array: ArrayOpener) -> Listing:
    """The rows of the image arrays below `root`, split by split, in the order of each array.

    UnchokeError where an array, its labels or its groups are missing, where their lengths differ, and where an array
    holds no images.
    """
    if not root.is_dir():
        raise UnchokeError(
            "The folder of the arrays is missing.",
            found="a file" if root.exists() else "nothing",
            expected="the folder that the files of dataset.images, labels and groups are below",
            where=str(root.absolute()),
            do=f"path: {root.parent}, images: '{root.name}:key'" if root.exists() else "correct dataset.path",
        )
    if not (fields.get("images") and _label_role(fields)):
        raise UnchokeError(
            "It is not said where images and labels are.",
            found=f"the fields {', '.join(fields) or 'none'}",
            expected='{"images": {"": "file.h5:x"}, "labels": {"": "file.h5:y"}}',
            where=str(root),
            do="set dataset.images and dataset.labels",
        )
    splits = [split for split in ("", *SPLITS) if split in fields["images"]]
    if unknown := sorted(fields["images"].keys() - splits):
        raise UnchokeError(
            "A split is not known.",
            found=repr(unknown[0]),
            expected=f"{', '.join(SPLITS)}, or an empty name for one location that holds all rows",
            where=str(root),
            do=suggestion(unknown[0], SPLITS),
        )
    return Listing(root, [image for split in splits for image in _images(root, split, fields, open_array)])


def _images(root: Path, split: str, fields: Fields, open_array: ArrayOpener) -> Iterator[ImageFile]:
    """The rows of the array of one split."""
    location = parse_location(fields["images"][split])
    array = open_located(root, location, open_array)
    check_images(array, f"{root}, {location}")
    check_stored(array, "images", f"{root}, {location}", every=False)
    count, row_bytes = array.shape[0], math.prod(array.shape[1:])
    times = [mtime_ns for _, _, mtime_ns in files_of(root, location)]
    mtime_ns = max(times + [size_and_time(root / name)[1] for name in refers_to(array)])
    labels = _values(root, split, fields, _label_role(fields), count, open_array)
    groups = _values(root, split, fields, "groups", count, open_array) if fields.get("groups") else repeat("")
    for row, label, group in zip(range(count), labels, groups, strict=False):
        yield ImageFile(row_name(location, row), label, split, group, row_bytes, mtime_ns)


def _label_role(fields: Fields) -> str:
    """The role of labels; empty where the fields name none."""
    return next((role for role in LABEL_ROLES.values() if fields.get(role)), "")


def _values(root: Path, split: str, fields: Fields, role: str, count: int, open_array: ArrayOpener) -> list[str]:
    """Labels or groups of the `count` images of a split."""
    named = "groups" if role == "groups" else "labels"
    if split not in fields[role]:
        raise UnchokeError(
            f"A split has images and no {named}.",
            found=f"{named} for {', '.join(fields[role])}",
            expected=f"{named} for {split}",
            where=str(root),
            do=f"name their location in dataset.{named}",
        )
    location = parse_location(fields[role][split])
    values = read_values(root, location, open_array, role)
    if len(values) != count:
        raise UnchokeError(
            f"There are not as many {named} as images.",
            found=f"{count:,} images in {fields['images'][split]}, {len(values):,} {named} in {location}",
            expected="one a row",
            where=str(root),
            do=f"correct dataset.{named}, or the file",
        )
    return values


def fields_digest(root: Path, fields: Fields, behind: Sequence[tuple[object, ...]] = ()) -> str:
    """Digest of the locations, and of sizes and times of the files that they name; nothing is opened.

    behind: entries of files that these files refer to.
    """
    named = {parse_location(location) for by_split in fields.values() for location in by_split.values()}
    entries: list[tuple[object, ...]] = [(str(place), *file) for place in named for file in files_of(root, place)]
    files = entries_digest([*entries, *behind])
    return sha256_json({"fields": {role: dict(given) for role, given in fields.items()}, "files": files})


def files_of(root: Path, location: Location) -> list[tuple[str, int, int]]:
    """Name, size in bytes and time of change in ns of what a location is read from: its file, or in a store that is a
    folder the files of its array. Of what is not there size -1 and time 0."""
    place = root / location.file
    if not place.is_dir():
        return [("", *size_and_time(place))]
    files = files_of_store(place / location.key)
    return [(name, *size_and_time(Path(name))) for name, _ in files] or [("", -1, 0)]
