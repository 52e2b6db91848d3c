"""Conversion of decoded pictures to upright RGB of 8 bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Transpose

BAND_PX = 2**18
"""Pixels converted at a time; intermediate values may be 16 times as large."""

_ORIENTATION_TAG = 0x0112
_FROM_THE_END = (3, 4, 7, 8)  # orientations whose first row is the last row or column of the file
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Stored:
    """A decoded picture: in the colours of its file, not yet turned upright."""

    pixels: Image.Image | NDArray[np.uint8]
    """As Pillow holds it, or RGB (H, W, 3)."""
    orientation: int
    """As EXIF has it."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px, upright."""
        width, height = self._stored_size
        return (height, width) if self.orientation in range(5, 9) else (width, height)

    @property
    def _stored_size(self) -> tuple[int, int]:
        image = self.pixels
        return image.size if isinstance(image, Image.Image) else (image.shape[1], image.shape[0])

    def picture(self) -> Image.Image:
        """All of it, upright, in RGB; ValueError where its grey values have no known range."""
        return turned(rgb(_as_image(self.pixels)), self.orientation)

    def rows(self, first: int, last: int) -> NDArray[np.uint8]:
        """Rows of the upright picture from the first to before the last, uint8 (rows, W, 3); ValueError as above."""
        width, height = self._stored_size
        if self.orientation in _FROM_THE_END:
            end = width if self.orientation > 4 else height
            first, last = end - last, end - first
        box = (first, 0, last, height) if self.orientation in range(5, 9) else (0, first, width, last)
        return np.asarray(turned(rgb(_part(self.pixels, box)), self.orientation))


def _part(pixels: Image.Image | NDArray[np.uint8], box: tuple[int, int, int, int]) -> Image.Image:
    if isinstance(pixels, Image.Image):
        return pixels if box == (0, 0, *pixels.size) else pixels.crop(box)
    left, top, right, bottom = box
    return _as_image(pixels[top:bottom, left:right])


def _as_image(pixels: Image.Image | NDArray[np.uint8]) -> Image.Image:
    return pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)


def upright_picture(image: Image.Image) -> Image.Image:
    """A loaded picture of any mode as RGB, 8 bits a channel, turned as its EXIF orientation says.

    ValueError where its grey values have no known range.
    """
    return turned(rgb(image), orientation_of(image))


def rgb(image: Image.Image) -> Image.Image:
    """A loaded picture of any mode as RGB, band by band, since what is between may be larger; ValueError as above."""
    if image.mode == "RGB":
        return image  # convert would copy it, and it may be large
    rows = max(1, BAND_PX // image.width)
    if rows >= image.height:
        return _rgb(image)
    whole = Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        whole.paste(_rgb(image.crop((0, top, image.width, min(top + rows, image.height)))), (0, top))
    return whole


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # the only way that keeps a palette's transparency
    return image.convert("RGB")


def eight_bits(values: NDArray[Any], full: int | None = None) -> NDArray[np.uint8]:
    """Integers from 0 to `full`, or floats from 0 to 1, as uint8; ValueError for other ranges.

    full: None: 255 of 8 bits, else 65535, also where more bits are stored.
    """
    if values.dtype == np.uint8 and full in (None, 255):
        return values
    if full is None or values.dtype.kind == "f":
        full = 1 if values.dtype.kind in "fb" else 255 if values.dtype.itemsize == 1 else 65535
    if values.dtype == np.float16:
        values = values.astype(np.float32)  # its steps are finer than 8 bits
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= full):
        raise ValueError(f"grey values from {low} to {high}, where 0 to {full} was expected")
    return np.round(values * (255 / full)).astype(np.uint8)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of an opened image, 1 to 8; 1 where it says none."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """A picture as it is to be seen where EXIF has this orientation."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
