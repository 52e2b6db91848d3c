"""A folder of images by class, or by split and class."""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

from unchoke.errors import UnchokeError
from unchoke.images import heif
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import ImageFile, Listing, size_and_time
from unchoke.sources.split_folders import EMPTY, is_system_folder, is_unlabelled, split_folders
from unchoke.texts import clean_label

PLAIN_ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")
IMAGE_ENDINGS = (*PLAIN_ENDINGS, *(heif.ENDINGS if heif.is_readable() else ()))

SplitsOf: TypeAlias = Callable[[Mapping[str, int], Collection[str]], Mapping[str, str]]
"""From the images below each first folder, and the first folders with folders in them, to the folders' splits."""


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """Every image below `path`; its class is the first folder, or the second where the first ones are splits.

    Which folders are splits: see ``split_folders``. Images in a folder ``unlabelled`` in their place, or in that of a
    class, have no label. Folders of the system and what is hidden are left out.
    group: a regular expression searched in the path below `path`; its first group, or its whole match.
    UnchokeError where folders named as splits hold no folders of classes, or lie beside others with images.
    """
    return list_files(path, partial(_splits_of_classes, path), group)


def list_files(path: Path, splits_of: SplitsOf, group: str | None = None, endings: tuple[str, ...] = ()) -> Listing:
    """The same, where `splits_of` says which of the first folders are splits. endings: of the files, in lower case;
    empty: those of images."""
    if not path.is_dir():
        raise UnchokeError(
            "The folder of images is missing.",
            found="a file" if path.exists() else "nothing",
            expected="a folder with one folder a class",
            where=str(path.absolute()),
            do="correct dataset.path in the config; it is relative to the folder that snakemake runs in",
        )
    pattern, left_out = group_pattern(group), Counter[str]()
    folders = [
        (folder, _images_among(files, left_out, endings or IMAGE_ENDINGS))
        for folder, files in folders_below(path, left_out)
    ]
    counts, classed = _first_folders(folders)
    split_of = splits_of(counts, classed)
    images = []
    for folder, files in folders:
        label, split = _class_and_split(folder, split_of)
        for file in files:
            name = folder + file.name
            images.append(ImageFile(name, label, split, pattern(name), *size_and_time(file)))
    return Listing(path, sorted(images), left_out + (_without_images(path, counts) if split_of else Counter()))


def _splits_of_classes(path: Path, counts: Mapping[str, int], classed: Collection[str]) -> dict[str, str]:
    """The splits of the first folders, where these are no classes themselves; UnchokeError where there are no classes
    in them."""
    where = str(path.absolute())
    counts = {name: count for name, count in counts.items() if not is_unlabelled(name)}
    classed = [name for name in classed if name in counts]
    split_of = split_folders(counts, classed, where)
    if split_of and not classed:
        first = min(split_of)
        raise UnchokeError(
            "The folders of the splits hold images, and no folders of classes.",
            found=f"images directly in {', '.join(f'{name}/' for name in sorted(split_of))}",
            expected=f"a folder for each class: {first}/cat/1.png",
            where=where,
            do="sort the images into folders by class, or list them with their labels in a CSV (dataset.kind: csv)",
        )
    return split_of


def _images_among(
    files: list[os.DirEntry[str]], left_out: Counter[str], endings: tuple[str, ...]
) -> list[os.DirEntry[str]]:
    """The images; other files are counted in `left_out` by their endings."""
    images = []
    for file in files:
        if file.name.lower().endswith(endings):
            images.append(file)
        else:
            left_out[Path(file.name).suffix.lower() or "no ending"] += 1
    return images


def _first_folders(folders: list[tuple[str, list[os.DirEntry[str]]]]) -> tuple[Counter[str], set[str]]:
    """How many images lie below each of the first folders, and in which of these they lie in folders of their own."""
    counts, classed = Counter[str](), set[str]()
    for folder, images in folders:
        if folder and images:
            first, _, rest = folder.partition("/")
            counts[first] += len(images)
            classed |= {first} if rest else set()
    return counts, classed


def _class_and_split(folder: str, split_of: Mapping[str, str]) -> tuple[str, str]:
    """What the path of a folder says of the images in it."""
    parts = folder.split("/")[:-1]
    split = split_of.get(parts[0], "") if parts else ""
    parts = parts[1:] if split else parts
    return "" if not parts or is_unlabelled(parts[0]) else clean_label(parts[0]), split


def _without_images(path: Path, counts: Mapping[str, int]) -> Counter[str]:
    """Counts the visible folders beside those of splits that hold no image. counts: of those that do."""
    others = [entry.name for entry in os.scandir(path) if _is_folder(entry) and entry.name not in counts]
    count = sum(not (name.startswith(".") or is_system_folder(name)) for name in others)
    return Counter({EMPTY: count} if count else {})


def folders_below(root: Path, left_out: Counter[str]) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Path below `root`, with a slash behind it, and visible files of every folder but those of the system.

    Links to folders are followed; a folder with several names is listed under the first of them. left_out: takes the
    folders of the system.
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
            if is_system_folder(entry.name):
                left_out[f"folder of the system: {entry.name}"] += 1
            elif (real := os.path.realpath(entry.path)) not in seen:
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
        return clean_label((match[1] if pattern.groups else match[0]) or "")

    return group_of
