"""Pictures as an encoder sees them: timm's evaluation transform, in bounded memory."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from PIL import Image
from timm.data.transforms_factory import create_transform

LONGEST = 16
"""Longer side over shorter side up to which the transform is timm's own."""

Prepare = Callable[[Image.Image], torch.Tensor]
"""From an RGB picture to uint8 (3, H, W)."""


def transform_of(image_size: int, data_config: Mapping[str, Any]) -> Prepare:
    """timm's evaluation transform up to its normalisation, of `image_size` px a side.

    timm enlarges the shorter side of a picture before it crops, so that 1 × 60,000 px ask for 16 GB. Of pictures longer
    than ``LONGEST`` to 1 only that part is enlarged which the crop keeps: the same pixels, within rounding.
    """
    transform = create_transform(
        input_size=(3, image_size, image_size),
        interpolation=data_config["interpolation"],
        crop_pct=data_config["crop_pct"],
        crop_mode=data_config["crop_mode"],
        normalize=False,
    )
    enlarges = data_config["crop_mode"] not in ("squash", "border")  # these keep to the encoder's size

    def prepare(image: Image.Image) -> torch.Tensor:
        if enlarges and max(image.size) > LONGEST * min(image.size):
            resize, _, to_tensor = transform.transforms
            image = resized_crop(image, resize.size, image_size, resize.interpolation)
            return to_tensor(image)  # type: ignore[no-any-return]
        return transform(image)  # type: ignore[no-any-return]

    return prepare


def resized_crop(image: Image.Image, shorter_px: int, crop_px: int, interpolation: Any) -> Image.Image:
    """The middle, crop_px a side, of a picture whose shorter side was resized to shorter_px, without the rest of it.

    Sizes and places are rounded as torchvision's Resize and CenterCrop round them.
    """
    short = min(image.size)
    resized = [int(shorter_px * side / short) for side in image.size]
    starts = [int(round((side - crop_px) / 2.0)) for side in resized]
    scales = [own / side for own, side in zip(image.size, resized, strict=True)]
    first = [start * scale for start, scale in zip(starts, scales, strict=True)]
    last = [
        min(own, (start + crop_px) * scale) for own, start, scale in zip(image.size, starts, scales, strict=True)
    ]
    resample = Image.Resampling[interpolation.name]
    return image.resize((crop_px, crop_px), resample, box=(first[0], first[1], last[0], last[1]))
