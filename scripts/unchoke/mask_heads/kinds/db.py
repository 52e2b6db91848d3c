"""Text head with differentiable binarization: a probability map of shrunk words, and a threshold map of their borders.

Liao et al. 2020, "Real-time scene text detection with differentiable binarization", on the neck of ``decoder``. Both
maps are learnt; predictions need the probability alone.
"""

from typing import Any

import torch
from torch import nn

from unchoke.mask_heads.kinds.decoder import Decoder
from unchoke.mask_heads.layers import Block, Maps, enlarge

BACKGROUND_AND_TEXT = 2


def build(channels: dict[str, int], strides: dict[str, int], n_classes: int, settings: dict[str, Any]) -> nn.Module:
    """The head with the weights that torch's generator draws now. settings: width, channels of all its maps.

    n_classes: 2, background and text; ValueError otherwise.
    """
    if n_classes != BACKGROUND_AND_TEXT:
        raise ValueError(f"a text head has {BACKGROUND_AND_TEXT} classes, background and text, not {n_classes}")
    return TextHead(channels, strides, settings["width"])


class TextHead(Decoder):
    """Feature maps to the logits of text, and in training to the logits of the threshold."""

    def __init__(self, channels: dict[str, int], strides: dict[str, int], width: int) -> None:
        super().__init__(channels, strides, 1, width)
        self.border = nn.Sequential(Block(width, width), nn.Conv2d(width, 1, 1))

    def forward(self, maps: Maps) -> torch.Tensor:
        """Logits (B, 2, S, S) of background and text, whose softmax is the probability map."""
        return _of_two_classes(self._at_pixels(self.close(self.fused(maps))))

    def with_threshold(self, maps: Maps) -> tuple[torch.Tensor, torch.Tensor]:
        """The result of ``forward``, and the logits (B, 1, S, S) of the threshold map."""
        x = self.fused(maps)
        return _of_two_classes(self._at_pixels(self.close(x))), self._at_pixels(self.border(x))

    def _at_pixels(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[-2:]
        return enlarge(x, height * self.stride, width * self.stride)


def _of_two_classes(logit: torch.Tensor) -> torch.Tensor:
    """Logits of two classes whose softmax is the sigmoid of `logit`, (B, 1, S, S)."""
    return torch.cat([-logit / 2, logit / 2], 1)
