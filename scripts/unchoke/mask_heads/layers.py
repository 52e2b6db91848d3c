"""Layers of all kinds of mask head. S is the side of a patch (px), h and w are the sides of a feature map."""

import torch
from torch import nn
from torch.nn.functional import interpolate

Maps = dict[str, torch.Tensor]
"""By name ("s4": features of stride 4, "pixels": the picture), each (B, C, h, w)."""


class Standardise(nn.Module):
    """Every channel to mean 0 and deviation 1, by moments that are stored with the head."""

    def __init__(self, channels: dict[str, int]) -> None:
        super().__init__()
        self.names = list(channels)
        for name, width in channels.items():
            self.register_buffer(f"mean_{name}", torch.zeros(width, 1, 1))
            self.register_buffer(f"deviation_{name}", torch.ones(width, 1, 1))

    def take(self, moments: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Mean and deviation of every channel, each (C,), of each map."""
        for name, (mean_C, deviation_C) in moments.items():
            self.get_buffer(f"mean_{name}").copy_(mean_C[:, None, None])
            self.get_buffer(f"deviation_{name}").copy_(deviation_C[:, None, None])

    def forward(self, maps: Maps) -> Maps:
        """The maps, float32."""
        return {
            name: (maps[name].float() - self.get_buffer(f"mean_{name}")) / self.get_buffer(f"deviation_{name}")
            for name in self.names
        }


class Block(nn.Sequential):
    """A 3×3 convolution, batch norm (Ioffe and Szegedy 2015) and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)  # batch norm adds a bias of its own
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def enlarge(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Bilinear, pixels taken as squares (``align_corners=False``)."""
    return interpolate(x, (height, width), mode="bilinear", align_corners=False)
