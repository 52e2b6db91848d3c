"""Small U-Net on the pixels, trained from nothing: the baseline that cached features are measured against.

Ronneberger et al. 2015, with padded convolutions, batch norm, and bilinear steps up behind a 1×1 convolution.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import max_pool2d

from unchoke.mask_heads.layers import Block, Maps, enlarge
from unchoke.names import PIXELS


def build(channels: dict[str, int], strides: dict[str, int], n_classes: int, settings: dict[str, Any]) -> nn.Module:
    """The network with the weights that torch's generator draws now. settings: width, channels of its first level."""
    return UNet(channels[PIXELS], n_classes, settings["width"])


class UNet(nn.Module):
    """Pixels to logits: levels of width, 2 · width and 4 · width down, two up, and a last of half the width."""

    def __init__(self, inputs: int, n_classes: int, width: int) -> None:
        super().__init__()
        self.top, self.middle = _level(inputs, width), _level(width, 2 * width)
        self.bottom = _level(2 * width, 4 * width)
        self.narrow_middle = nn.Conv2d(4 * width, 2 * width, 1)
        self.up_middle = _level(4 * width, 2 * width)
        self.narrow_top = nn.Conv2d(2 * width, width, 1)
        self.up_top = _level(2 * width, width)
        self.close = nn.Sequential(_level(width, width // 2), nn.Conv2d(width // 2, n_classes, 1))

    def hidden(self, maps: Maps) -> torch.Tensor:
        """Input of the last convolution, (B, width / 2, S, S), of ``maps["pixels"]``, 0 to 1, (B, 3, S, S)."""
        top: torch.Tensor = self.top(maps[PIXELS])
        middle: torch.Tensor = self.middle(max_pool2d(top, 2))
        bottom = self.bottom(max_pool2d(middle, 2))
        x = self.up_middle(torch.cat([enlarge(self.narrow_middle(bottom), *middle.shape[-2:]), middle], 1))
        x = self.up_top(torch.cat([enlarge(self.narrow_top(x), *top.shape[-2:]), top], 1))
        hidden: torch.Tensor = self.close[0](x)
        return hidden

    def forward(self, maps: Maps) -> torch.Tensor:
        """Logits (B, K, S, S) of ``maps["pixels"]``, 0 to 1, (B, 3, S, S)."""
        logits: torch.Tensor = self.close[1](self.hidden(maps))
        return logits


def _level(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, outputs), Block(outputs, outputs))
