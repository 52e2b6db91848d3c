"""Small pictures of images, from any source."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unchoke.errors import UnreadableImageError
from unchoke.images.decode import picture_of
from unchoke.sources.source import Reader, open_images

Picture = NDArray[np.uint8] | str
"""uint8 (height, width, 3), or why there is none."""


def thumbnails(kind: str, root: Path, paths: Sequence[str], side_px: int, max_pixels: int) -> list[Picture]:
    """For each image uint8 (height, width, 3) of at most `side_px` a side; or why it gives no picture any more.

    kind, root, paths: as for ``sources.source.open_images``. max_pixels: as for decoding.
    """
    return [_thumbnail(reader, side_px, max_pixels) for reader in open_images(kind, root, paths)]


def _thumbnail(reader: Reader, side_px: int, max_pixels: int) -> Picture:
    try:
        image = picture_of(reader(), max_pixels=max_pixels, draft_px=side_px)
    except UnreadableImageError as error:
        return str(error)
    image.thumbnail((side_px, side_px))
    return np.asarray(image)
