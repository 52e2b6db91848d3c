"""Poolings, one module each in ``kinds``: ``pool(features)`` takes a FeatureMap and gives float32 (B, D).

If some models lack the pool, the module also has ``missing_in(model)``: the reason, or empty text.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch

from unchoke.errors import UnchokeError


@dataclass(frozen=True)
class FeatureMap:
    """The output of an encoder for a batch, before pooling."""

    model: torch.nn.Module
    raw: torch.Tensor | list[torch.Tensor]
    """As timm's ``forward_features`` gives it."""
    prefix_BPD: torch.Tensor
    """Class token and registers, float32; P is 0 where there are none."""
    patches_BTD: torch.Tensor
    """One vector for each place of the picture, float32."""


def find_pool(name: str, model: torch.nn.Module) -> Callable[[FeatureMap], torch.Tensor]:
    """The pooling called `name`; UnchokeError where `model` lacks its input."""
    module = importlib.import_module(f"unchoke.encoders.pools.kinds.{name}")
    if hasattr(module, "missing_in") and (reason := module.missing_in(model)):
        raise UnchokeError(
            f"The encoder has no pool '{name}'.",
            found=f"{type(model).__name__}, {reason}",
            do=f"take '{name}' out of the encoder's pools",
        )
    return module.pool  # type: ignore[no-any-return]


def feature_map(model: torch.nn.Module, raw: torch.Tensor | list[torch.Tensor]) -> FeatureMap:
    """`raw` seen as tokens: maps of shape (B, D, H, W) or (B, H, W, D), tokens (B, P + T, D), or vectors (B, D).

    If an encoder with branches gives several tensors, tokens and places are unknown.
    """
    if not isinstance(raw, torch.Tensor):
        return FeatureMap(model, raw, torch.zeros(1, 0, 0), torch.zeros(1, 0, 0))
    prefix = 0
    if raw.ndim == 4:
        channels_last = raw.shape[-1] == model.num_features and raw.shape[1] != model.num_features
        tokens = raw.flatten(1, 2) if channels_last else raw.flatten(2).transpose(1, 2)
    else:
        tokens = raw if raw.ndim == 3 else raw[:, None]
        prefix = prefix_tokens(model) if raw.ndim == 3 else 0
    tokens = tokens.float()
    return FeatureMap(model, raw, tokens[:, :prefix], tokens[:, prefix:])


def class_tokens(model: torch.nn.Module) -> list[torch.Tensor]:
    """The parameters of a model's class tokens, one for each stage, without tokens of distillation."""
    own = model.named_parameters(recurse=False)
    return [token for name, token in own if name.startswith("cls_token")]


def prefix_tokens(model: torch.nn.Module) -> int:
    """Number of tokens before the tokens of places: timm's count, else the number of class tokens."""
    counted = getattr(model, "num_prefix_tokens", None)
    if counted is not None:
        return int(counted)
    counts = sorted(token.shape[1] for token in class_tokens(model))
    return counts[-1] if counts else 0  # the pool `max` hides Python's max here


def some_of(tokens_BTD: torch.Tensor, features: FeatureMap, pool: str) -> torch.Tensor:
    """The tokens that a pool reads; UnchokeError where the encoder gives none. Memory planning meets this first."""
    if tokens_BTD.shape[1]:
        return tokens_BTD
    several = not isinstance(features.raw, torch.Tensor)
    raise UnchokeError(
        f"The encoder has no pool '{pool}'.",
        found=f"{type(features.model).__name__}, which gives "
        + (f"{len(features.raw)} tensors" if several else "its class token alone"),
        expected="one tensor in which classes and places can be told apart",
        do=f"take '{pool}' out of the encoder's pools; 'head' is timm's own pooling",
    )
