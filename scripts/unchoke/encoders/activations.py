"""Activations at a cut as stores hold them: three axes an image, whatever the network, so that files have one name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from unchoke.encoders.places import Cut

_AXES = 3
_DIMENSIONS = {"NCHW": ("channel", "y", "x"), "NHWC": ("y", "x", "channel")}
_OF_TOKENS = ("token", "one", "feature")


@dataclass(frozen=True)
class Activations:
    """What lies behind the frozen part of a network, and how a store has it."""

    cut: Cut
    dimensions: tuple[str, ...]
    """Names of the axes of an image."""

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Of an image in the store; see ``stored_shape``."""
        return stored_shape(self.cut.shape)

    def facts(self) -> dict[str, Any]:
        """What records say of the cut: the cache of another cut has other facts."""
        return {
            "blocks": self.cut.blocks,
            "boundary": self.cut.boundary,
            "shape": list(self.cut.shape),
            "dimensions": list(self.dimensions),
        }


def activations_at(cut: Cut, model: torch.nn.Module) -> Activations:
    """The activations at a cut of a model of timm, which says whether its channels come first or last."""
    if len(cut.shape) != _AXES:
        return Activations(cut, _OF_TOKENS)
    return Activations(cut, _DIMENSIONS[str(getattr(model, "output_fmt", "NCHW"))])


def stored_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Three axes that hold the same numbers in the same order: of tokens (L, D) there are (L, 1, D)."""
    if len(shape) >= _AXES:
        return (math.prod(shape[:-2]), *shape[-2:])
    return (*shape[:-1], *[1] * (_AXES - len(shape)), shape[-1])


def read_shape(settings: Mapping[str, Any]) -> tuple[int, ...]:
    """Of an image as the network has it, from the settings in a store's seal."""
    return tuple(settings["shape"])
