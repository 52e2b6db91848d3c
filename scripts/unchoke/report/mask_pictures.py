"""Images with their true and predicted masks, reduced. They are read window by window, whatever their size."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unchoke.errors import UnreadableImageError
from unchoke.images.windows import labels_of, open_image, open_mask
from unchoke.machine.receipts import read_json
from unchoke.stitching.stitch import BANDS
from unchoke.store.tables import PATCH_ROW_COLUMNS, read_table
from unchoke.store.zarr_bytes import open_group

SIDE_PX = 600  # longest side of a reduced picture
WINDOW_PX = 2048

Read = Callable[[int, int, int, int], NDArray[Any]]


@dataclass(frozen=True)
class PictureFiles:
    """Where the images of a dataset lie."""

    root: Path
    """Folder that the paths of images and masks are below."""
    paths: dict[int, str]
    """Paths of the images by image_id."""
    grids: Path
    """JSON with the size and the first patch of every image."""
    max_pixels: int
    """As for decoding."""


@dataclass(frozen=True)
class MaskFiles(PictureFiles):
    """Where images, masks and predictions of a dataset and a head lie."""

    mask_rows: Path
    """Folder of the tables that name the mask of every patch."""
    stitched: Path
    """Folder of the head's predicted masks."""
    classes: dict[str, list[int]]
    """The values of each class in the mask files."""
    ignore: int | None


@dataclass(frozen=True)
class Views:
    """An image, its true and its predicted mask, all of the same reduced size."""

    picture_HW3: NDArray[np.uint8]
    truth_HW: NDArray[np.uint8]
    """Class indices; names.IGNORED for ignored pixels."""
    predicted_HW: NDArray[np.uint8]
    """Class indices; names.IGNORED for unknown pixels."""


def read_views(files: MaskFiles, image_id: int) -> Views | str:
    """An image of at most SIDE_PX a side with its masks; or why the image or its mask cannot be read any more."""
    grid = read_json(files.grids)[str(image_id)]
    height, width = grid["height"], grid["width"]
    factor = factor_of(height, width, SIDE_PX)
    predicted: Any = open_group(files.stitched / f"{image_id}.zarr", jobs=BANDS)["mask"]
    try:
        picture_HW3, _ = read_picture(files, image_id, SIDE_PX)
        mask = open_mask(files.root / _mask_path(files, image_id, grid["first"]), files.max_pixels)
        value_HW = reduced(mask.read, height, width, factor, every)
        return Views(
            picture_HW3,
            labels_of(value_HW, files.classes, files.ignore),
            reduced(lambda y0, x0, h, w: predicted[y0 : y0 + h, x0 : x0 + w], height, width, factor, every),
        )
    except UnreadableImageError as error:
        return str(error)


def read_picture(files: PictureFiles, image_id: int, side_px: int) -> tuple[NDArray[np.uint8], int]:
    """An image of at most side_px a side, uint8 (H, W, 3), and how many of its pixels a side became one.

    Raises UnreadableImageError where it cannot be read any more.
    """
    grid = read_json(files.grids)[str(image_id)]
    height, width = grid["height"], grid["width"]
    factor = factor_of(height, width, side_px)
    image = open_image(files.root / files.paths[image_id], files.max_pixels)
    return reduced(image.read, height, width, factor, block_means), factor


def factor_of(height: int, width: int, side_px: int) -> int:
    """How many pixels a side become one, so that no side is longer than side_px."""
    return -(-max(height, width) // side_px)


def _mask_path(files: MaskFiles, image_id: int, first: int) -> str:
    """The mask of an image, from the table of the chunk that its first patch is in; all but the last are as long."""
    per_chunk = len(read_table(files.mask_rows / "0.csv", PATCH_ROW_COLUMNS))
    rows = read_table(files.mask_rows / f"{first // per_chunk}.csv", PATCH_ROW_COLUMNS)
    return str(rows.loc[rows["image_id"] == image_id, "path"].iloc[0])


def reduced(
    read: Read, height: int, width: int, factor: int, reduce: Callable[[NDArray[Any], int], NDArray[Any]]
) -> NDArray[Any]:
    """One array of all windows (y0, x0, height, width) of an image from `read`, each reduced by `factor`.

    reduce: takes a window and the factor; one array of WINDOW_PX a side is held besides the result.
    """
    side = max(1, WINDOW_PX // factor) * factor
    rows = [
        [reduce(read(y0, x0, min(side, height - y0), min(side, width - x0)), factor) for x0 in range(0, width, side)]
        for y0 in range(0, height, side)
    ]
    return np.concatenate([np.concatenate(row, 1) for row in rows])


def every(values_HW: NDArray[Any], factor: int) -> NDArray[Any]:
    """The upper left value of every block of factor × factor."""
    return values_HW[::factor, ::factor].copy()


def block_means(pixels_HW3: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """The mean of every block of factor × factor; a last block may be smaller."""
    sums, counts = pixels_HW3, np.ones((1, 1), np.uint32)
    for axis in (0, 1):
        starts = np.arange(0, pixels_HW3.shape[axis], factor)
        sums = np.add.reduceat(sums, starts, axis, dtype=np.uint32)
        lengths = np.diff(np.append(starts, pixels_HW3.shape[axis])).astype(np.uint32)
        counts = counts * np.expand_dims(lengths, 1 - axis)
    return (sums / counts[..., None]).round().astype(np.uint8)
