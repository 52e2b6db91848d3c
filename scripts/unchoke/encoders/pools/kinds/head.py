"""What timm's own model gives without its classifier: its pooling and what it does behind it."""

import torch

from unchoke.encoders.pools.pool import FeatureMap


def pool(features: FeatureMap) -> torch.Tensor:
    return features.model.forward_head(features.raw, pre_logits=True).float()  # type: ignore[operator, no-any-return]
