"""Small pictures of image files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unchoke.images import UnreadableImageError, decode_image, read_image_file


def thumbnail(path: Path, side_px: int, max_pixels: int) -> NDArray[np.uint8] | str:
    """uint8 (height, width, 3) of at most `side_px` a side; or why the file gives no picture any more."""
    try:
        image = decode_image(read_image_file(path), max_pixels=max_pixels, draft_px=side_px)
    except UnreadableImageError as error:
        return str(error)
    image.thumbnail((side_px, side_px))
    return np.asarray(image)
