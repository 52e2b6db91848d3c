"""Images with masks: a folder with images/ and masks/, or a CSV with the columns path and mask."""

import os
import posixpath
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from unchoke.errors import UnchokeError
from unchoke.locations import NO_FIELDS, Fields
from unchoke.names import nearest
from unchoke.sources import ImageFile, Listing, csv, folder, size_and_time

IMAGES, MASKS = "images", "masks"
MASKED = "mask"
"""The label of an image that has a mask."""
ALONE = "mask without image"


class MaskFile(NamedTuple):
    """The mask of one image."""

    path: str
    """Below the source's root, with forward slashes."""
    size_bytes: int
    """-1 where there is no such file."""
    mtime_ns: int
    """Nanoseconds since 1970; 0 where there is no such file."""


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """Every image, with the label ``mask`` where it has one; masks without an image are counted among what is left out.

    A folder: every image below images/, paths with it; the folders in it are splits where ``folder.list_images`` would
    take them for splits. A mask belongs to the image that has its path, but for images/, masks/ and the endings.
    A CSV: one image a row, paths relative to its folder; no mask where the column mask is empty.
    group: as for a folder of images, or for a CSV of them.
    """
    return _list(path, group)[0]


def list_masks(path: Path, group: str | None = None) -> dict[str, MaskFile]:
    """The mask of every image that has one, by the path of the image as ``list_images`` gives it."""
    return _list(path, group)[1]


def _list(path: Path, group: str | None) -> tuple[Listing, dict[str, MaskFile]]:
    if not path.exists():
        raise UnchokeError(
            "The images with masks are missing.",
            found="nothing",
            expected="a folder with images/ and masks/, or a CSV with the columns path and mask",
            where=str(path.absolute()),
            do="correct dataset.path in the config; it is relative to the folder that snakemake runs in",
        )
    return _list_folder(path, group) if path.is_dir() else _list_csv(path, group)


def _list_csv(path: Path, group: str | None) -> tuple[Listing, dict[str, MaskFile]]:
    rows = csv.read_rows(path, ["path", "mask"], group)
    masked = {row["path"]: row["mask"] for row in rows if row["mask"]}
    labelled = [{**row, "label": MASKED if row["path"] in masked else ""} for row in rows]
    masks = {image: MaskFile(mask, *size_and_time(path.parent / mask)) for image, mask in masked.items()}
    return csv.listing_of(path, labelled, group), masks


def _list_folder(path: Path, group: str | None) -> tuple[Listing, dict[str, MaskFile]]:
    """Paired by their paths less the endings."""
    _check_folders(path)
    group_of = folder.group_pattern(group)
    images, masks = folder.list_images(path / IMAGES), folder.list_images(path / MASKS)
    mask_of = _by_stem(masks, "masks for one image")
    listed, found = [], {}
    for stem, image in _by_stem(images, "images for one mask").items():
        name = f"{IMAGES}/{image.path}"
        if mask := mask_of.pop(stem, None):
            found[name] = MaskFile(f"{MASKS}/{mask.path}", mask.size_bytes, mask.mtime_ns)
        listed.append(image._replace(path=name, label=MASKED if mask else "", group=group_of(name)))
    alone = Counter({ALONE: len(mask_of)} if mask_of else {})
    return Listing(path, sorted(listed), images.left_out + masks.left_out + alone), found


def _check_folders(path: Path) -> None:
    """UnchokeError where one of the two folders is missing."""
    folders = sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
    for name in (IMAGES, MASKS):
        if name not in folders:
            near = nearest(name, [other for other in folders if other not in (IMAGES, MASKS)], count=1)
            raise UnchokeError(
                f"There is no folder {name}/.",
                found=", ".join(f"{other}/" for other in folders[:5]) or "no folder",
                expected=f"{IMAGES}/ and {MASKS}/, with the same names in both",
                where=str(path.absolute()),
                do=f"rename {near[0]}/ to {name}/" if near else "check dataset.path in the config",
            )


def _by_stem(listing: Listing, too_many: str) -> dict[str, ImageFile]:
    """Files by their paths less the ending; UnchokeError names two that have one."""
    files: dict[str, ImageFile] = {}
    for file in listing.images:
        if (other := files.setdefault(posixpath.splitext(file.path)[0], file)) is not file:
            raise UnchokeError(
                f"There are two {too_many}.",
                found=f"{other.path!r} and {file.path!r}",
                expected="names that differ in more than their endings",
                where=str(listing.root),
                do="rename or delete one of the two",
            )
    return files
