"""The loss of a network: cross-entropy with class weights, label smoothing and mixed targets.

A batch's loss is a sum over its images, divided by a sum of weights that is known before the batch is cut: so the
gradients of micro-batches add up to that of the batch.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import one_hot


@dataclass(frozen=True)
class Targets:
    """What the images of a batch are."""

    label_B: torch.Tensor
    """Places among the classes, int64."""
    partner_B: torch.Tensor | None = None
    """Mixup (Zhang et al. 2018): row of the image that is mixed in, int64; None: nothing is mixed."""
    share_B: torch.Tensor | None = None
    """Share of the image itself, float32."""


def weighted_targets(targets: Targets, part: slice, weight_C: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Factor of each class's -log p in the sum over images, float32 (B, C).

    As in torch's CrossEntropyLoss: the label's weight × (1 - smoothing), and each class's weight × smoothing / C.
    """
    hot_BC = shares(targets, part, len(weight_C))
    return weight_C * (hot_BC * (1 - smoothing) + smoothing / len(weight_C))


def shares(targets: Targets, part: slice, n_classes: int) -> torch.Tensor:
    """Share of each class in some images, float32 (B, C)."""
    own_BC = one_hot(targets.label_B[part], n_classes).float()
    if targets.partner_B is None or targets.share_B is None:
        return own_BC
    other_BC = one_hot(targets.label_B[targets.partner_B[part]], n_classes).float()
    share_B1 = targets.share_B[part, None]
    return share_B1 * own_BC + (1 - share_B1) * other_BC


def total_weight(targets: Targets, weight_C: torch.Tensor) -> torch.Tensor:
    """Divisor of the sum over a whole batch, float32 (): the weights of its labels."""
    return (shares(targets, slice(None), len(weight_C)) * weight_C).sum()


def loss_sum(logits_BC: torch.Tensor, target_BC: torch.Tensor) -> torch.Tensor:
    """Sum over images and classes of target × -log p, float32 ()."""
    return -(torch.log_softmax(logits_BC.float(), 1) * target_BC).sum()
