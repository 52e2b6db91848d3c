"""The class token."""

import torch

from unchoke.encoders.pools.pool import FeatureMap, class_tokens, some_of


def missing_in(model: torch.nn.Module) -> str:
    return "" if class_tokens(model) else "which has no class token"


def pool(features: FeatureMap) -> torch.Tensor:
    return some_of(features.prefix_BPD, features, "cls")[:, 0]
