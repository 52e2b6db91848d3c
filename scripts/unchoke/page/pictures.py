"""Pictures inside a page: WebP as data URLs."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LOSSLESS_PX = 48  # pictures up to this side keep their pixels; larger ones are photographs
_QUALITY = 75  # of WebP, 0 to 100
_MOST_LOSSLESS = 400_000  # bytes; figures that hold photographs take more
_FIGURE_QUALITY = 88
_EFFORT = 20  # of the lossless encoder, 0 to 100: more takes seconds for few bytes


@dataclass(frozen=True)
class Inline:
    """A picture as text."""

    url: str
    """``data:`` and the bytes."""
    width: int
    """px, like the height."""
    height: int


def figure_picture(png: bytes) -> Inline:
    """A drawn figure, in about half of the PNG's bytes; without loss, unless it holds large photographs."""
    with Image.open(io.BytesIO(png)) as image:
        pixels = image.convert("RGB")
    exact = _inline(pixels, lossless=True, quality=_EFFORT, method=2)
    if len(exact.url) <= _MOST_LOSSLESS:
        return exact
    return _inline(pixels, lossless=False, quality=_FIGURE_QUALITY, method=4)


def small_picture(pixels_HW3: NDArray[np.uint8]) -> Inline:
    """A thumbnail, uint8 (height, width, 3)."""
    image = Image.fromarray(pixels_HW3)
    return _inline(image, lossless=max(image.size) <= _LOSSLESS_PX, quality=_QUALITY, method=4)


def _inline(image: Image.Image, **settings: int) -> Inline:
    file = io.BytesIO()
    image.save(file, "WEBP", **settings)
    return Inline(f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}", *image.size)
