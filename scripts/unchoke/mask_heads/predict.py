"""Stage: predictions of a mask head for the patches of one chunk, from cached feature maps or from pixels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.encoders.lanes import ONE_LANE, Lanes, side_by_side
from unchoke.errors import UnreadableImageError
from unchoke.heads.products import single_products
from unchoke.images.windows import open_image, read_patch
from unchoke.machine.suspects import in_flight
from unchoke.mask_heads.head import MaskHead, predict
from unchoke.names import PIXELS
from unchoke.store import chunks

_TOGETHER = 4  # patches; their activations at full resolution take the memory
Inputs = tuple[Mapping[str, NDArray[Any]], NDArray[np.bool_]]


def cached_maps(store: Path, chunk: int, names: list[str]) -> Inputs:
    """The feature maps of a chunk, float16 (N, C, h, w) by name, and which of its patches are valid, bool (N,)."""
    arrays = chunks.read_chunk(store, chunk)
    return {name: arrays[name] for name in names}, arrays[chunks.VALID]


def read_pixels(rows: pd.DataFrame, root: Path, size: int, per_chunk: int, max_pixels: int) -> Inputs:
    """The patches of a chunk themselves, uint8 (per_chunk, 3, size, size), and which of them could be read."""
    pixels_N3HW, valid_N = np.zeros((per_chunk, 3, size, size), np.uint8), np.zeros(per_chunk, bool)
    for row, (path, y0, x0) in enumerate(zip(rows["path"], rows["y0"], rows["x0"], strict=True)):
        try:
            with in_flight(path):
                pixels_N3HW[row] = read_patch(open_image(root / path, max_pixels), y0, x0, size).transpose(2, 0, 1)
            valid_N[row] = True
        except UnreadableImageError:
            continue  # the mask marks it as unknown
    return {PIXELS: pixels_N3HW}, valid_N


def predict_patches(head: MaskHead, inputs: Inputs, device: torch.device) -> NDArray[np.float16]:
    """Probabilities of the classes, float16 (N, K, size, size); NaN for a patch that is not valid.

    On a processor each patch has one thread: the last bits of a batch that threads share depend on their number.
    """
    maps, valid_N = inputs
    modules = [module.to(device) for module in head.modules]
    rows, size, at_once = np.flatnonzero(valid_N), head.patch_px, 1 if device.type == "cpu" else _TOGETHER
    found = np.full((len(valid_N), len(head.classes), size, size), np.nan, np.float16)
    parts = [rows[start : start + at_once] for start in range(0, len(rows), at_once)]

    def predicted(some: NDArray[np.int64]) -> NDArray[np.float32]:
        return predict(modules, {name: values[some] for name, values in maps.items()}, head.settings["precision"])

    with single_products() as threads:
        lanes = Lanes(min(threads, _TOGETHER), 1) if device.type == "cpu" else ONE_LANE
        for some, values in zip(parts, side_by_side(predicted, parts, lanes), strict=True):
            found[some] = values
    return found
