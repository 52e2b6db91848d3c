"""Views of a picture: its flips and turns, and seeded random crops and colours.

What a view draws depends on its name and the image's id alone, so every run and every machine draws the same.
"""

import math

import numpy as np
from PIL import Image, ImageEnhance
from PIL.Image import Transpose

_TURNS = {
    "hflip": Transpose.FLIP_LEFT_RIGHT,
    "vflip": Transpose.FLIP_TOP_BOTTOM,
    "rot90": Transpose.ROTATE_90,
    "rot180": Transpose.ROTATE_180,
    "rot270": Transpose.ROTATE_270,
    "transpose": Transpose.TRANSPOSE,
    "transverse": Transpose.TRANSVERSE,
}
_AREA, _RATIO = (0.35, 1.0), (3 / 4, 4 / 3)  # of a crop, as shares of the picture's area and as width / height
_STRENGTH = 0.4  # brightness, contrast and saturation are multiplied by 1 - 0.4 to 1 + 0.4
_CROP, _COLOUR = 0, 1  # part of the seeds, so that crop_3 and colour_3 draw apart


def view_of(name: str, image: Image.Image, image_id: int) -> Image.Image:
    """The view `name` of an RGB picture: ``identity``, a flip or turn, ``crop_<n>`` or ``colour_<n>``."""
    if name == "identity":
        return image
    if name in _TURNS:
        return image.transpose(_TURNS[name])
    kind, _, number = name.rpartition("_")
    if kind == "crop":
        return _cropped(image, np.random.default_rng([_CROP, int(number), image_id]))
    return _coloured(image, np.random.default_rng([_COLOUR, int(number), image_id]))


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A part of random area, shape and place (Szegedy et al. 2015), its sides cut to the picture's."""
    area = rng.uniform(*_AREA) * image.width * image.height
    ratio = math.exp(rng.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
    width = min(image.width, max(1, round(math.sqrt(area * ratio))))
    height = min(image.height, max(1, round(math.sqrt(area / ratio))))
    left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _coloured(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Random brightness, contrast and saturation, in this order."""
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(rng.uniform(1 - _STRENGTH, 1 + _STRENGTH))
    return image
