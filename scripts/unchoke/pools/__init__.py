"""Poolings, one module each: ``pool(features) -> (B, D)`` and ``missing_in(model)``, why a model cannot have it.

`features` is a FeatureMap; what comes back is float32.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch

from unchoke.errors import UnchokeError


@dataclass(frozen=True)
class FeatureMap:
    """What an encoder says of a batch, before pooling."""

    model: torch.nn.Module
    raw: torch.Tensor
    """As timm's ``forward_features`` gives it."""
    prefix_BPD: torch.Tensor
    """Class token and registers, float32; P is 0 where there are none."""
    patches_BTD: torch.Tensor
    """One vector a place of the picture, float32."""


def find_pool(name: str, model: torch.nn.Module) -> Callable[[FeatureMap], torch.Tensor]:
    """The pooling called `name`; UnchokeError where `model` has nothing that it could read."""
    module = importlib.import_module(f"unchoke.pools.{name}")
    if reason := module.missing_in(model):
        raise UnchokeError(
            f"The encoder has no pool '{name}'.",
            found=f"{type(model).__name__}, {reason}",
            do=f"take '{name}' out of the encoder's pools",
        )
    return module.pool  # type: ignore[no-any-return]


def feature_map(model: torch.nn.Module, raw: torch.Tensor) -> FeatureMap:
    """`raw` seen as tokens: maps of shape (B, D, H, W) or (B, H, W, D), tokens (B, P + T, D), or vectors (B, D)."""
    prefix = 0
    if raw.ndim == 4:
        channels_last = raw.shape[-1] == model.num_features and raw.shape[1] != model.num_features
        tokens = raw.flatten(1, 2) if channels_last else raw.flatten(2).transpose(1, 2)
    else:
        tokens = raw if raw.ndim == 3 else raw[:, None]
        prefix = int(getattr(model, "num_prefix_tokens", 0)) if raw.ndim == 3 else 0
    tokens = tokens.float()
    return FeatureMap(model, raw, tokens[:, :prefix], tokens[:, prefix:])
