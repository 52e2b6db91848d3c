"""The class token."""

import torch

from unchoke.pools import FeatureMap


def missing_in(model: torch.nn.Module) -> str:
    return "" if getattr(model, "cls_token", None) is not None else "which has no class token"


def pool(features: FeatureMap) -> torch.Tensor:
    return features.prefix_BPD[:, 0]
