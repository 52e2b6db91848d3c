"""Linear mask head: one 1×1 convolution on the feature maps of all strides, side by side at the finest."""

from typing import Any

import torch
from torch import nn

from unchoke.mask_heads.layers import Maps, Standardise, enlarge


def build(channels: dict[str, int], strides: dict[str, int], n_classes: int, settings: dict[str, Any]) -> nn.Module:
    """The head with the weights that torch's generator draws now; it has no settings of its own."""
    return LinearMask(channels, strides, n_classes)


class LinearMask(nn.Module):
    """Feature maps to logits.

    The convolution comes before the maps are enlarged and added. The result equals enlarging, joining and convolving,
    because both steps are linear and a bilinear weight does not depend on the channel, with far fewer operations.
    """

    def __init__(self, channels: dict[str, int], strides: dict[str, int], n_classes: int) -> None:
        super().__init__()
        self.finest = min(strides, key=strides.__getitem__)
        self.stride = strides[self.finest]
        self.standardise = Standardise(channels)
        self.weigh = nn.ModuleDict(
            {name: nn.Conv2d(width, n_classes, 1, bias=name == self.finest) for name, width in channels.items()}
        )

    def forward(self, maps: Maps) -> torch.Tensor:
        """Logits (B, K, S, S) of maps (B, C, S / stride, S / stride)."""
        height, width = maps[self.finest].shape[-2:]
        standard = self.standardise(maps)
        parts = [enlarge(weigh(standard[name]), height, width) for name, weigh in self.weigh.items()]
        return enlarge(torch.stack(parts).sum(0), height * self.stride, width * self.stride)
