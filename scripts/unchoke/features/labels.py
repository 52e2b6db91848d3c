"""Stage: labels of pixels. One chunk of patches becomes one chunk of labels, read from the mask files."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke import versions
from unchoke.errors import UnreadableImageError
from unchoke.hashing import sha256_bytes
from unchoke.images.windows import open_mask, read_labels
from unchoke.machine.memory_watch import peak_memory_mb
from unchoke.machine.suspects import in_flight
from unchoke.manifest.quarantine import invalid_patches
from unchoke.names import IGNORED
from unchoke.store import chunks


@dataclass(frozen=True)
class MaskSettings:
    """The settings that labels depend on; see ``dataset.classes`` and ``patches`` in config/README.md."""

    size: int
    """Height and width of a patch, px."""
    chunk_size: int
    """Patches per chunk."""
    classes: dict[str, list[int]]
    """The values of each class in the mask files."""
    ignore: int | None
    max_pixels: int


def cut_masks(store: Path, chunk: int, rows: pd.DataFrame, rows_file: Path, root: Path, settings: MaskSettings) -> int:
    """Write the labels of a chunk of patches, uint8 (chunk_size, size, size), to `store`; return how many are valid.

    rows: the columns of ``tables.PATCH_ROW_COLUMNS``, with the path of the mask, empty where there is none.
    Beyond the image, and where the mask has the value `ignore`, the label is ``names.IGNORED``. A mask that
    cannot be read, or has a value of no class, makes the patch invalid, with the reason in the chunk's record.
    """
    started = time.perf_counter()
    labels_NHW = np.full((settings.chunk_size, settings.size, settings.size), IGNORED, np.uint8)
    valid_N, reasons = np.zeros(settings.chunk_size, bool), {}
    for row, (path, y0, x0) in enumerate(zip(rows["path"], rows["y0"], rows["x0"], strict=True)):
        try:
            if path:
                labels_NHW[row] = _read(root, path, y0, x0, settings)
                valid_N[row] = True
        except UnreadableImageError as error:
            reasons[row] = f"its mask: {error}"
    facts = {"version": versions.MASKS, "classes": list(settings.classes.items()), "ignore": settings.ignore}
    facts |= {"size": settings.size, "chunk_size": settings.chunk_size}
    arrays = {chunks.MASK: labels_NHW, chunks.VALID: valid_N}
    return write_labels(store, chunk, arrays, rows_file, facts, invalid_patches(rows, reasons), started)


def write_labels(
    store: Path,
    chunk: int,
    arrays: dict[str, NDArray[Any]],
    rows_file: Path,
    facts: dict[str, Any],
    reasons: dict[int, str],
    started: float,
) -> int:
    """Write a chunk of labels; return how many patches are valid.

    arrays: of one chunk, ``valid`` among them. facts: settings for the record. reasons: by image_id why its labels
    could not be read. started: by ``time.perf_counter``.
    """
    seconds = time.perf_counter() - started
    valid = int(arrays[chunks.VALID].sum())
    record = {
        "rows_sha256": sha256_bytes(rows_file.read_bytes()),
        "settings": facts,
        "invalid": [{"image_id": image, "reason": why} for image, why in reasons.items()],
        "images": valid,
        "seconds": {"read": 0.0, "decode": seconds, "encode": 0.0, "total": seconds},
        "threads": 1,
        "peak_mb": {"host": peak_memory_mb()},
    }
    chunks.write_chunk(store, chunk, arrays, record)
    return valid


def _read(root: Path, path: str, y0: int, x0: int, settings: MaskSettings) -> NDArray[Any]:
    with in_flight(path):
        mask = open_mask(root / path, settings.max_pixels)
        return read_labels(mask, y0, x0, settings.size, settings.classes, settings.ignore)
