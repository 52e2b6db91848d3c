"""Images with masks: a folder with images/ and masks/, or a CSV with the columns path and mask."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from unchoke.errors import UnchokeError
from unchoke.sources import pairs
from unchoke.sources.kinds import csv, folder
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing, path_on_disk, size_and_time
from unchoke.sources.split_folders import split_folders
from unchoke.texts import clean_text

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
    masked = {row["path"]: path_on_disk(path.parent, row["mask"]) for row in rows if clean_text(row.get("mask", ""))}
    labelled = [{**row, "label": MASKED if row["path"] in masked else ""} for row in rows]
    masks = {image: MaskFile(mask, *size_and_time(path.parent / mask)) for image, mask in masked.items()}
    return csv.listing_of(path, labelled, group), masks


def _list_folder(path: Path, group: str | None) -> tuple[Listing, dict[str, MaskFile]]:
    """Paired by their paths less the endings."""
    pairs.check_folders(path, IMAGES, MASKS)
    group_of, where = folder.group_pattern(group), str((path / IMAGES).absolute())
    images = folder.list_files(path / IMAGES, lambda counts, _: split_folders(counts, None, where))
    masks = folder.list_files(path / MASKS, lambda *_: {})
    mask_of = pairs.pair(images, masks, "mask")
    listed, found = [], {}
    for image in images.images:
        name = f"{IMAGES}/{image.path}"
        if mask := mask_of.get(image.path):
            found[name] = MaskFile(f"{MASKS}/{mask.path}", mask.size_bytes, mask.mtime_ns)
        listed.append(image._replace(path=name, label=MASKED if mask else "", group=group_of(name)))
    alone = Counter({ALONE: len(masks.images) - len(mask_of)})
    return Listing(path, sorted(listed), images.left_out + masks.left_out + alone), found
