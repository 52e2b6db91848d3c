"""Pictures in the place of features: decoded, resized and cropped as an encoder sees them, and no further."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from unchoke.encoders.preprocessing import resized_px, transform_of
from unchoke.names import PIXELS

NO_ENCODER = {"interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "center"}
"""How networks without an encoder see pictures: the shorter side has their size, and the middle is kept."""
_STEPS = ("interpolation", "crop_pct", "crop_mode")


@dataclass(frozen=True)
class Pixels:
    """Gives pictures as they are: an ``Encodes`` without a network."""

    image_size: int
    """Height and width of a picture, px."""
    data_config: Mapping[str, Any]
    """How pictures become it, as the card of an encoder says it."""

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def arrays(self) -> list[str]:
        return [PIXELS]

    @property
    def resized_px(self) -> int:
        """Shorter side of a picture before the crop, px."""
        return resized_px(self.image_size, self.data_config)

    def preprocess(self) -> Callable[[Image.Image], torch.Tensor]:
        """From an RGB picture to uint8 (3, H, W)."""
        return transform_of(self.image_size, self.data_config)

    def encode(self, images_B3HW: torch.Tensor) -> dict[str, NDArray[np.uint8]]:
        """The batch itself, uint8 (B, 3, H, W)."""
        return {PIXELS: images_B3HW.numpy()}


def transform_facts(image_size: int, data_config: Mapping[str, Any]) -> dict[str, Any]:
    """All that the pixels of a picture depend on beside itself: two encoders with equal facts see the same."""
    return {"image_size": image_size, **{step: data_config[step] for step in _STEPS}}
