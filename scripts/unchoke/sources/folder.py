"""A folder of images by class, or by split and class."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.locations import NO_FIELDS, Fields
from unchoke.sources import ImageFile, Listing, size_and_time
from unchoke.split_folders import EMPTY, is_system_folder, split_folders
from unchoke.texts import clean_label

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """Every image below `path`; its class is the first folder, or the second where the first ones are splits.

    Which folders are splits: see ``split_folders``. Folders of the system and what is hidden are left out.
    group: a regular expression searched in the path below `path`; its first group, or its whole match.
    UnchokeError where folders named as splits hold no folders of classes, or lie beside others with images.
    """
    pattern, listing = group_pattern(group), list_files(path)
    counts, classed = _first_folders(listing.images)
    split_of = split_folders(counts, classed, str(path.absolute()))
    if split_of and not classed:
        raise _no_classes(sorted(split_of), path)
    images = [_placed(image, split_of)._replace(group=pattern(image.path)) for image in listing.images]
    return Listing(path, images, listing.left_out + without_images(path, split_of))


def list_files(path: Path) -> Listing:
    """Every image below `path`, in the order of their paths, without label, split and group."""
    if not path.is_dir():
        raise UnchokeError(
            "The folder of images is missing.",
            found="a file" if path.exists() else "nothing",
            expected="a folder with one folder a class",
            where=str(path.absolute()),
            do="correct dataset.path in the config; it is relative to the folder that snakemake runs in",
        )
    images, left_out = [], Counter[str]()
    for folder, files in folders_below(path, left_out):
        for file in files:
            if file.name.lower().endswith(IMAGE_ENDINGS):
                images.append(ImageFile(folder + file.name, "", "", "", *size_and_time(file)))
            else:
                left_out[Path(file.name).suffix.lower() or "no ending"] += 1
    return Listing(path, sorted(images), left_out)


def splits_of_files(listing: Listing) -> dict[str, str]:
    """The splits of the first folders of a listing whose folders are no classes; empty where these are no splits."""
    return split_folders(_first_folders(listing.images)[0], None, str(listing.root.absolute()))


def without_images(path: Path, split_of: Mapping[str, str]) -> Counter[str]:
    """Counts the visible folders beside those of splits, all of which hold no image; nothing without splits."""
    if not split_of:
        return Counter()
    others = [entry.name for entry in os.scandir(path) if _is_folder(entry) and entry.name not in split_of]
    count = sum(not (name.startswith(".") or is_system_folder(name)) for name in others)
    return Counter({EMPTY: count} if count else {})


def _first_folders(images: list[ImageFile]) -> tuple[Counter[str], set[str]]:
    """How many images lie below each of the first folders, and in which of these they lie in folders of their own."""
    counts, classed = Counter[str](), set[str]()
    for image in images:
        first, *rest = image.path.split("/", 2)
        if rest:
            counts[first] += 1
        if len(rest) > 1:
            classed.add(first)
    return counts, classed


def _placed(image: ImageFile, split_of: Mapping[str, str]) -> ImageFile:
    """The image with the split and the class that its folders say."""
    *folders, _ = image.path.split("/", 2)
    split = split_of[folders.pop(0)] if split_of and folders else ""
    return image._replace(label=clean_label(folders[0]) if folders else "", split=split)


def _no_classes(splits: list[str], path: Path) -> UnchokeError:
    return UnchokeError(
        "The folders of the splits hold images, and no folders of classes.",
        found=f"images directly in {', '.join(f'{name}/' for name in splits)}",
        expected=f"a folder for each class: {splits[0]}/cat/1.png",
        where=str(path.absolute()),
        do="sort the images into folders by class, or list them with their labels in a CSV (dataset.kind: csv)",
    )


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
