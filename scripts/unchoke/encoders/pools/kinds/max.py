"""Largest value over the places of the picture."""

import torch

from unchoke.encoders.pools.pool import FeatureMap, some_of


def pool(features: FeatureMap) -> torch.Tensor:
    return some_of(features.patches_BTD, features, "max").amax(1)
