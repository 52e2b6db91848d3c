"""The masks of images: which image has one, and of which size; and the rows from which labels of patches are cut."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from unchoke.errors import UnreadableImageError
from unchoke.images.windows import image_size
from unchoke.manifest.moves import GONE
from unchoke.manifest.rows import write_rows
from unchoke.names import NO_LABEL, NO_MASK
from unchoke.store import tables

SIDES = ("height", "width")
_NO_FILE = {"path": "", "size_bytes": -1, "mtime_ns": 0}


class MaskTruths:
    """The masks of a source."""

    notes: tuple[str, ...] = ()
    """For the log."""

    def __init__(self, kind: str, path: Path, group: str | None) -> None:
        found = importlib.import_module(f"unchoke.sources.kinds.{kind}").list_masks(path, group)
        self._files = {name: file._asdict() for name, file in found.items()}

    def attach(self, frame: pd.DataFrame, root: Path) -> pd.DataFrame:
        """The manifest with each image's mask: ``mask_path``, empty where there is none, its size and time; and with
        the image's height and width, px, 0 where unreadable. Unusable images are marked with the reason."""
        paths = frame["path"].mask(frame["excluded"].isin(GONE), "")  # another image may have its path now
        found = pd.DataFrame([self._files.get(path, _NO_FILE) for path in paths]).add_prefix("mask_")
        frame = pd.concat([frame, found], axis=1).replace({"excluded": {NO_LABEL: NO_MASK}})
        measure(frame, root, frame["mask_path"].tolist())
        return frame

    def write(self, rows: pd.DataFrame, size: int, per_chunk: int, folder: Path) -> dict[str, object]:
        """Write ``mask_rows``: the rows with masks in place of images. rows: patches with the columns of ``attach``.

        Excluded patches and images get no mask, as it may not fit. Returns what the manifest's record says of it.
        """
        rows = rows.drop(columns=list(_NO_FILE)).rename(columns=lambda name: name.removeprefix("mask_"))
        rows = rows.assign(**{name: rows[name].where(~unusable(rows), nothing) for name, nothing in _NO_FILE.items()})
        write_rows(rows, tables.PATCH_ROW_COLUMNS, per_chunk, folder / "mask_rows")
        return {}


def unusable(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Which patches are excluded, or their images."""
    return (rows["excluded"] != "") | (rows["excluded_image"] != "")


def measure(frame: pd.DataFrame, root: Path, masks: Sequence[str]) -> None:
    """Fill in height and width, px, 0 where unreadable, and mark unusable images with the reason.

    masks: path of the mask of each image, empty where there is none.
    """
    sides = np.zeros((len(frame), 2), np.int64)
    for row, (path, mask, excluded) in enumerate(zip(frame["path"], masks, frame["excluded"], strict=True)):
        if excluded in GONE:
            continue
        try:
            sides[row] = image_size(root / path)
            mask_sides = image_size(root / mask) if mask else None
        except UnreadableImageError as error:
            reason = f"its mask: {error}" if sides[row].any() else str(error)
        else:
            reason = ""
            if mask_sides is not None and mask_sides != tuple(sides[row]):
                reason = f"mask of {size_text(mask_sides)} for an image of {size_text(sides[row].tolist())}"
        if not excluded:
            frame.loc[row, "excluded"] = reason
    frame[list(SIDES)] = sides


def size_text(sides: Sequence[int]) -> str:
    """Height and width as people write them."""
    height, width = sides
    return f"{width} × {height} px"
