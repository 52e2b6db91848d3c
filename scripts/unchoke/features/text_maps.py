"""Stage: the maps of text. One chunk of patches becomes one chunk of labels and one of thresholds, from outlines."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from unchoke import versions
from unchoke.features.labels import write_labels
from unchoke.names import IGNORED, TEXT_CLASSES
from unchoke.polygons.maps import OUTSIDE, Maps, Window, draw_maps, target_of
from unchoke.store import chunks
from unchoke.store.run_record import DETECTION


@dataclass(frozen=True)
class TextSettings:
    """The settings that maps depend on; see ``dataset`` and ``patches`` in config/README.md."""

    size: int
    """Height and width of a patch, px."""
    chunk_size: int
    """Patches per chunk."""
    smallest_word: float
    """px."""


def draw_text_maps(store: Path, chunk: int, rows: pd.DataFrame, rows_file: Path, settings: TextSettings) -> int:
    """Write the maps of a chunk of patches to `store`; return how many are valid.

    ``mask``, uint8 (chunk_size, size, size)        0 background, 1 kernels of words, ``names.IGNORED``
    ``threshold``, uint8 (chunk_size, size, size)   255ths; 255 outside

    See ``polygons.maps.Maps``. rows: the columns of ``tables.TEXT_ROW_COLUMNS``; a patch without known words is not
    valid.
    """
    started = time.perf_counter()
    shape = (settings.chunk_size, settings.size, settings.size)
    mask_NHW, threshold_NHW = np.full(shape, IGNORED, np.uint8), np.full(shape, OUTSIDE, np.uint8)
    valid_N = np.zeros(settings.chunk_size, bool)
    columns = [rows[name] for name in ("y0", "x0", "height", "width", "words")]
    for row, (y0, x0, height, width, words) in enumerate(zip(*columns, strict=True)):
        if words:
            window = Window(y0, x0, settings.size, settings.size)
            mask_NHW[row], threshold_NHW[row] = _draw(words, window, height, width, settings.smallest_word)
            valid_N[row] = True
    arrays = {chunks.MASK: mask_NHW, chunks.THRESHOLD: threshold_NHW, chunks.VALID: valid_N}
    named = {"task": DETECTION, "classes": list(TEXT_CLASSES.items())}
    facts = {"version": versions.TEXT_MAPS, **named, **asdict(settings)}
    return write_labels(store, chunk, arrays, rows_file, facts, {}, started)


def _draw(words: str, window: Window, height: int, width: int, smallest_px: float) -> Maps:
    outlines = [(tuple(map(tuple, outline)), ignored) for outline, ignored in json.loads(words)]
    targets = [target_of(outline, ignored, smallest_px) for outline, ignored in outlines]
    return draw_maps(targets, window, height, width)
