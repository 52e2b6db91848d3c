"""Pictures as an encoder sees them: timm's evaluation transform, in bounded memory."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from timm.data.transforms_factory import create_transform

from unchoke.images.steps import CROP, PLAIN, RESIZE, TO_TENSOR, Steps

LONGEST = 16
"""Longer side over shorter side up to which the transform is timm's own."""

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Prepare = Callable[[Image.Image], torch.Tensor]
"""From an RGB picture to uint8 (3, H, W)."""


def resized_px(image_size: int, data_config: Mapping[str, Any]) -> int:
    """Shorter side of a picture before the crop, px."""
    return int(image_size / data_config["crop_pct"])


def transform_of(image_size: int, data_config: Mapping[str, Any], steps: Steps = PLAIN) -> Prepare:
    """timm's evaluation transform up to its normalisation, of `image_size` px a side.

    timm enlarges the shorter side of a picture before it crops, so that 1 × 60,000 px ask for 16 GB. If a picture is
    longer than ``LONGEST`` to 1, only the part inside the crop is enlarged. Its pixels are the same within rounding (2
    of 255). steps: what takes its steps.
    """
    transform = create_transform(
        input_size=(3, image_size, image_size),
        interpolation=data_config["interpolation"],
        crop_pct=data_config["crop_pct"],
        crop_mode=data_config["crop_mode"],
        normalize=False,
    )
    resize, crop, to_tensor = transform.transforms
    name, mode = resize.interpolation.name.lower(), data_config["crop_mode"]

    def finish(image: Image.Image) -> torch.Tensor:
        return steps.take(TO_TENSOR, to_tensor, image)  # type: ignore[no-any-return]

    def prepare(image: Image.Image) -> torch.Tensor:
        if mode == "squash" or name not in _KERNELS or max(image.size) <= LONGEST * min(image.size):
            return finish(steps.take(CROP, crop, steps.take(RESIZE, resize, image)))
        if mode == "border":  # keeps to the encoder's size, but could round the shorter side to 0 px
            share = min(resize.size) / max(image.size)
            sides = max(1, round(image.width * share)), max(1, round(image.height * share))
            resized = steps.take(RESIZE, image.resize, sides, Image.Resampling[name.upper()])
            return finish(steps.take(CROP, crop, resized))
        return finish(steps.take(RESIZE, resized_crop, image, resize.size, image_size, name))

    return prepare


def resized_crop(image: Image.Image, shorter_px: int, crop_px: int, interpolation: str) -> Image.Image:
    """The centre crop, crop_px a side, of a picture resized to a shorter side of shorter_px; only the crop is computed.

    Sizes and places are rounded as torchvision's Resize and CenterCrop round them; filters are Pillow's. Pillow rounds
    and clips to 0 to 255 between its two passes, so their order matters. Pillow 13 resizes rows first, except for
    pictures taller than 2 to 1 that it makes smaller.
    """
    short = min(image.size)
    width, height = (int(shorter_px * side / short) for side in image.size)
    left, across_CW = _weights(image.width, width, crop_px, interpolation)
    top, down_CH = _weights(image.height, height, crop_px, interpolation)
    pixels_HW3 = np.asarray(image.crop((left, top, left + across_CW.shape[1], top + down_CH.shape[1])))
    if image.height > max(2 * image.width, height):
        return Image.fromarray(_across(_down(pixels_HW3, down_CH), across_CW))
    return Image.fromarray(_down(_across(pixels_HW3, across_CW), down_CH))


def _across(pixels_HW3: Pixels, weight_CW: Floats) -> Pixels:
    return _rounded(weight_CW @ pixels_HW3)


def _down(pixels_HW3: Pixels, weight_CH: Floats) -> Pixels:
    return np.ascontiguousarray(_across(pixels_HW3.swapaxes(0, 1), weight_CH).swapaxes(0, 1))


def _weights(own_px: int, resized_px: int, crop_px: int, interpolation: str) -> tuple[int, Floats]:
    """For one side: the first input pixel, and the weights of n input pixels in each of C crop pixels, (C, n)."""
    support, kernel = _KERNELS[interpolation]
    start, scale = round((resized_px - crop_px) / 2.0), own_px / resized_px
    wide = max(1.0, scale)  # for downscaling, filters widen by the scale
    centre_C1 = (start + np.arange(crop_px)[:, None] + 0.5) * scale
    first = max(0, math.floor(centre_C1[0, 0] - support * wide))
    last = min(own_px, math.ceil(centre_C1[-1, 0] + support * wide))
    weight_CN = kernel(np.abs(np.arange(first, last) + 0.5 - centre_C1) / wide)
    return first, weight_CN / weight_CN.sum(1, keepdims=True)


def _rounded(values: Floats) -> Pixels:
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)


def _linear(x: Floats) -> Floats:
    return np.maximum(0.0, 1 - x)


def _cubic(x: Floats) -> Floats:
    """Keys (1981) with a = -0.5."""
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Floats) -> Floats:
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_KERNELS: dict[str, tuple[int, Callable[[Floats], Floats]]] = {
    "bilinear": (1, _linear),
    "bicubic": (2, _cubic),
    "lanczos": (3, _lanczos),
}
