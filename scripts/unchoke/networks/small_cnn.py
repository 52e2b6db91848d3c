"""A small convolutional network among timm's models, a baseline that learns from nothing.

Importing this module registers it: ``timm.create_model("small_cnn", num_classes=2)``.
"""

from typing import Any

import torch
from timm.models import build_model_with_cfg, register_model
from torch import nn
from torch.nn.functional import max_pool2d

from unchoke.names import SMALL_CNN

WIDTHS = (32, 64, 128, 256)
default_cfgs = {
    SMALL_CNN: {
        "url": "",
        "num_classes": 1000,
        "input_size": (3, 96, 96),
        "pool_size": (6, 6),
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "fixed_input_size": False,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "first_conv": "blocks.0.conv",
        "classifier": "fc",
    }
}


class ConvBlock(nn.Module):
    """Convolution, batch norm and ReLU, then the largest of 2 × 2 places."""

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, out_width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, width, H, W) to (B, out_width, H // 2, W // 2); a side of one px stays."""
        x = self.norm(self.conv(x)).relu()
        return max_pool2d(x, [min(2, side) for side in x.shape[-2:]])


class SmallCnn(nn.Module):
    """Four blocks, the mean over the places, and a linear classifier; with the methods of timm's models."""

    def __init__(self, num_classes: int = 1000, in_chans: int = 3, drop_rate: float = 0.0, **_: Any) -> None:
        """drop_rate: share of the classifier's inputs that are left out in training."""
        super().__init__()
        self.num_classes, self.drop_rate = num_classes, drop_rate
        self.num_features = self.head_hidden_size = WIDTHS[-1]
        widths = (in_chans, *WIDTHS)
        self.blocks = nn.Sequential(*map(ConvBlock, widths[:-1], widths[1:]))
        self.head_drop = nn.Dropout(drop_rate)
        self.fc: nn.Module = nn.Identity()
        self.reset_classifier(num_classes)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Layers for layer-wise decay, as timm states them."""
        return {"stem": r"^blocks\.0", "blocks": r"^blocks\.(\d+)"}

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier; none for 0 classes."""
        self.num_classes = num_classes
        self.fc = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) to (B, 256, H // 16, W // 16)."""
        features: torch.Tensor = self.blocks(x)
        return features

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Features of all places to logits, or to the classifier's input."""
        x = self.head_drop(x.mean((2, 3)))
        return x if pre_logits else self.fc(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of images (B, 3, H, W), normalised."""
        return self.forward_head(self.forward_features(x))


@register_model
def small_cnn(pretrained: bool = False, **settings: Any) -> nn.Module:
    """0.4 million parameters."""
    model: nn.Module = build_model_with_cfg(SmallCnn, SMALL_CNN, pretrained, **settings)
    return model
