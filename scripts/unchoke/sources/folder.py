"""A folder of images by class, or by split and class."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.locations import NO_FIELDS, SPLIT_NAMES, Fields
from unchoke.sources import ImageFile, Listing, size_and_time

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """Every image below `path`; its class is the first folder, or the second where the first ones are splits.

    The first folders are splits when each is named as one (train, val, valid, validation, test …) and train is there.
    group: a regular expression searched in the path below `path`; its first group, or its whole match.
    """
    if not path.is_dir():
        raise UnchokeError(
            "The folder of images is missing.",
            found="a file" if path.exists() else "nothing",
            expected="a folder with one folder a class",
            where=str(path.absolute()),
            do="correct dataset.path in the config; it is relative to the folder that snakemake runs in",
        )
    pattern = group_pattern(group)
    tops = sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith("."))
    splits = [SPLIT_NAMES.get(top.lower()) for top in tops]
    by_split = "train" in splits and None not in splits
    images, left_out = [], Counter[str]()
    for folder, files in _folders_below(path):
        parts = folder.split("/")[:-1]
        split = SPLIT_NAMES[parts.pop(0).lower()] if by_split and parts else ""
        label = parts[0] if parts else ""
        for file in files:
            name = file.name
            if name.lower().endswith(IMAGE_ENDINGS):
                images.append(ImageFile(folder + name, label, split, pattern(folder + name), *size_and_time(file)))
            else:
                left_out[Path(name).suffix.lower() or "no ending"] += 1
    return Listing(path, sorted(images), left_out)


def _folders_below(root: Path) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Path below `root`, with a slash behind it, and visible files of every folder.

    Links to folders are followed; a folder with several names is listed under the first of them.
    """
    waiting, seen = [("", os.fspath(root))], {os.path.realpath(root)}
    while waiting:
        prefix, folder = waiting.pop()
        files: list[os.DirEntry[str]] = []
        folders: list[os.DirEntry[str]] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if _is_folder(entry) else files).append(entry)
        yield prefix, files
        for entry in sorted(folders, key=lambda entry: entry.name):
            if (real := os.path.realpath(entry.path)) not in seen:
                seen.add(real)
                waiting.append((f"{prefix}{entry.name}/", entry.path))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def group_pattern(group: str | None):  # type: ignore[no-untyped-def]
    """From the path of an image to its group."""
    if group is None:
        return lambda name: ""
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UnchokeError(
            "dataset.split.group is not a regular expression.", found=f"{group!r}: {error}", do="correct it"
        ) from None

    def group_of(name: str) -> str:
        if (match := pattern.search(name)) is None:
            raise UnchokeError(
                "An image has no group.",
                found=f"{name!r}, where {group!r} does not match",
                expected="a match in every path",
                do="widen dataset.split.group, or set it to null",
            )
        return match[1] if pattern.groups else match[0]

    return group_of
