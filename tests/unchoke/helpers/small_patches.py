"""Small images with masks of random pixels, and what is said of them by hand, without the library's tiling."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from unchoke.manifest.images import SplitSettings
from unchoke.manifest.patches import PatchSettings, build_patches
from unchoke.store.tables import MANIFEST_COLUMNS, PATCH_COLUMNS, PATCH_ROW_COLUMNS, read_table

SIZE, OVERLAP, STEP, PER_CHUNK = 64, 16, 48, 4
SETTINGS = PatchSettings(SIZE, OVERLAP, PER_CHUNK)
SIDES = {  # by the stem of the file, whose folder is the split
    "test/a": (100, 140),
    "test/b": (64, 64),
    "train/c": (97, 131),
    "train/d": (40, 30),
    "val/e": (65, 112),
}


def random_picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def random_mask(height: int, width: int, values: tuple[int, ...] = (0, 255), seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).choice(np.array(values, np.uint8), (height, width))


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_pair(root: Path, stem: str, height: int, width: int, values: tuple[int, ...] = (0, 255)) -> None:
    """An image and its mask; pixels depend on the name."""
    seed = sum(stem.encode())
    write_picture(root / f"images/{stem}.png", random_picture(height, width, seed))
    write_picture(root / f"masks/{stem}.png", random_mask(height, width, values, seed))


def write_pairs(root: Path, values: tuple[int, ...] = (0, 255)) -> None:
    for stem, sides in SIDES.items():
        write_pair(root, stem, *sides, values)


def build(root: Path, out: Path, settings: PatchSettings = SETTINGS) -> dict[str, Any]:
    return build_patches("masks", root, None, SplitSettings(0, 0.2, 0.2), settings, out / "manifest.csv")


def manifest_of(out: Path) -> pd.DataFrame:
    return read_table(out / "manifest.csv", MANIFEST_COLUMNS)


def patches_of(out: Path) -> pd.DataFrame:
    return read_table(out / "patches.csv", PATCH_COLUMNS)


def rows_of(out: Path, chunk: int, folder: str = "rows") -> pd.DataFrame:
    return read_table(out / folder / f"{chunk}.csv", PATCH_ROW_COLUMNS)


def starts(length: int, size: int = SIZE, overlap: int = OVERLAP) -> list[int]:
    """First pixel of every patch along a side."""
    return [place * (size - overlap) for place in range(max(1, math.ceil((length - overlap) / (size - overlap))))]


def corners(height: int, width: int, size: int = SIZE, overlap: int = OVERLAP) -> list[tuple[int, int]]:
    """y0 and x0 of an image's patches, row by row."""
    return [(y0, x0) for y0 in starts(height, size, overlap) for x0 in starts(width, size, overlap)]


def cut_by_hand(image_HWx: NDArray[Any], y0: int, x0: int, size: int = SIZE, **how: Any) -> NDArray[Any]:
    """A patch of the image padded far enough by NumPy, by reflection where nothing else is asked for."""
    below, right = (max(0, start + size - side) for start, side in zip((y0, x0), image_HWx.shape, strict=False))
    padding = [(0, below), (0, right)] + [(0, 0)] * (image_HWx.ndim - 2)
    return np.pad(image_HWx, padding, **(how or {"mode": "reflect"}))[y0 : y0 + size, x0 : x0 + size]
