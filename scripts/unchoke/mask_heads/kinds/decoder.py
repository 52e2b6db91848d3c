"""Convolutional mask head: from the coarsest feature map up, each finer one added, as feature pyramids do.

Lin et al. 2017, "Feature pyramid networks for object detection", with a smoothing block at every step.
"""

from typing import Any

import torch
from torch import nn

from unchoke.mask_heads.layers import Block, Maps, Standardise, enlarge


def build(channels: dict[str, int], strides: dict[str, int], n_classes: int, settings: dict[str, Any]) -> nn.Module:
    """The head with the weights that torch's generator draws now. settings: width, channels of all its maps."""
    return Decoder(channels, strides, n_classes, settings["width"])


class Decoder(nn.Module):
    """Feature maps to logits."""

    def __init__(self, channels: dict[str, int], strides: dict[str, int], n_classes: int, width: int) -> None:
        super().__init__()
        self.upwards = sorted(strides, key=strides.__getitem__, reverse=True)
        self.stride = min(strides.values())
        self.standardise = Standardise(channels)
        self.lateral = nn.ModuleDict({name: nn.Conv2d(channels[name], width, 1) for name in self.upwards})
        self.smooth = nn.ModuleDict({name: Block(width, width) for name in self.upwards[1:]})
        self.close = nn.Sequential(Block(width, width), nn.Conv2d(width, n_classes, 1))

    def fused(self, maps: Maps) -> torch.Tensor:
        """All maps in one, (B, width, h, w) of the finest of maps (B, C, S / stride, S / stride)."""
        standard = self.standardise(maps)
        x: torch.Tensor = self.lateral[self.upwards[0]](standard[self.upwards[0]])
        for name in self.upwards[1:]:
            finer = self.lateral[name](standard[name])
            x = self.smooth[name](enlarge(x, *finer.shape[-2:]) + finer)
        return x

    def hidden(self, maps: Maps) -> torch.Tensor:
        """Input of the last convolution, (B, width, h, w)."""
        hidden: torch.Tensor = self.close[0](self.fused(maps))
        return hidden

    def forward(self, maps: Maps) -> torch.Tensor:
        """Logits (B, K, S, S) of maps (B, C, S / stride, S / stride)."""
        logits: torch.Tensor = self.close[1](self.hidden(maps))
        height, width = logits.shape[-2:]
        return enlarge(logits, height * self.stride, width * self.stride)
