"""A teacher that you have trained: an encoder of timm with one 1×1 convolution on its feature map of stride 4.

The checkpoint is what `torch.save` makes of

    {"model": "resnet18", "classes": 2, "encoder": encoder.state_dict(), "head": head.state_dict()}

with `encoder = timm.create_model(model, features_only=True, out_indices=[1])`, and `head = torch.nn.Conv2d(…, 2, 1)`.
"""

from collections.abc import Callable
from pathlib import Path

import timm
import torch
from torch import nn

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the encoder was trained on


def build(model: str, classes: int) -> tuple[nn.Module, nn.Module]:
    """Encoder and head with random weights."""
    encoder = timm.create_model(model, pretrained=False, features_only=True, out_indices=[1])
    return encoder, nn.Conv2d(encoder.feature_info.channels()[0], classes, 1)


def load(checkpoint: Path, device: torch.device) -> Callable[[torch.Tensor], dict[str, torch.Tensor]]:
    """What Unchoke calls with patches, float32 (B, 3, S, S) from 0 to 1."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    encoder, head = build(saved["model"], saved["classes"])
    encoder.load_state_dict(saved["encoder"])
    head.load_state_dict(saved["head"])
    encoder, head = encoder.eval().to(device), head.eval().to(device)
    mean, deviation = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, DEVIATION))

    def predict(patches: torch.Tensor) -> dict[str, torch.Tensor]:
        (features,) = encoder((patches - mean) / deviation)
        return {"logits": head(features), "features": features}

    return predict
