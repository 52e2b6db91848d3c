"""Distillation: a mask head learns from a teacher before it learns from masks.

The first epochs fit the hidden map to the teacher's features (Romero et al. 2015, "FitNets"), the next epochs fit the
logits to the teacher's (Hinton et al. 2015). Neither needs a mask.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import kl_div, log_softmax, mse_loss

from unchoke.mask_heads.layers import Maps, enlarge

LOGITS, FEATURES = "teacher.logits", "teacher.features"
"""Names of a teacher's targets, beside the maps that a head sees."""


def target_of(settings: dict[str, Any], epoch: int) -> str:
    """What an epoch (from 0) fits: ``features``, ``logits`` or ``masks``; settings: of a head."""
    distil = settings.get("distil") or {"features": 0, "logits": 0}
    if epoch < distil["features"]:
        return "features"
    return "logits" if epoch < distil["features"] + distil["logits"] else "masks"


def projection_of(model: Any, channels: int) -> nn.Conv2d:
    """A 1×1 convolution from a head's hidden map to a teacher's features, drawn by torch's generator."""
    return nn.Conv2d(model.close[-1].in_channels, channels, 1)


class FeatureDistillation(nn.Module):
    """A head with its projection, whose result is the loss of features for each patch."""

    def __init__(self, model: nn.Module, projection: nn.Module, moments: tuple[torch.Tensor, torch.Tensor]) -> None:
        super().__init__()
        self.model, self.projection, self.moments = model, projection, moments

    def forward(self, maps: Maps) -> torch.Tensor:
        """float32 (B,), see ``features_loss``; maps: with ``FEATURES``."""
        height, width = maps[FEATURES].shape[-2:]
        found = self.projection(enlarge(self.model.hidden(maps), height, width))  # type: ignore[operator]
        return features_loss(found.float(), maps[FEATURES], *self.moments)


class LogitDistillation(nn.Module):
    """A head whose result is the loss of logits for each patch."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, maps: Maps) -> torch.Tensor:
        """float32 (B,), see ``logits_loss``; maps: with ``LOGITS``."""
        return logits_loss(self.model(maps).float(), maps[LOGITS], self.temperature)


def features_loss(
    found: torch.Tensor, teacher: torch.Tensor, mean_C: torch.Tensor, deviation_C: torch.Tensor
) -> torch.Tensor:
    """Mean squared error of each patch (B,) between `found` and the teacher's features, standardised, (B, C, h, w)."""
    standard = (teacher - mean_C[:, None, None]) / deviation_C[:, None, None]
    return mse_loss(found, standard, reduction="none").mean((1, 2, 3))


def logits_loss(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T² times the mean over the pixels of a patch of KL(teacher ‖ head), (B,), both softened by the temperature T.

    logits: (B, K, S, S). teacher: (B, K, h, w), brought to the pixels bilinearly. T² keeps the gradients' size.
    """
    wanted = log_softmax(enlarge(teacher, *logits.shape[-2:]) / temperature, 1)
    found = log_softmax(logits / temperature, 1)
    divergence = kl_div(found, wanted, reduction="none", log_target=True).sum(1)
    return temperature**2 * divergence.mean((1, 2))


def mean_over_patches(
    loss_B: torch.Tensor, label: torch.Tensor, weight_K: torch.Tensor, whole: torch.Tensor | None = None
) -> torch.Tensor:
    """The loss of a batch, as ``losses`` gives them: the parts of a batch add up to that of the whole."""
    return loss_B.sum() / len(label if whole is None else whole)
