"""Losses of masks. Logits are float32 (B, K, H, W), labels uint8 (B, H, W), weights of classes float32 (K,).

Pixels of label IGNORED have no part: a batch of nothing else gives 0, and zero gradients. Each loss is a mean, over
pixels or over patches. `whole` is the label of the whole batch where a call gets a part of it: the parts then add up to
the loss of the whole. ``batch_dice`` and the Dice of ``text_loss`` do not add up; they are the mean over the parts.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy as torch_cross_entropy

from unchoke.mask_heads.text_loss import not_0, text_loss
from unchoke.names import IGNORED

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]

_LEAST = 1e-8  # of 1 - p, whose power has no finite slope at 0
_SMOOTH = 1e-5  # MONAI's smooth_nr and smooth_dr


def loss_of(settings: dict[str, Any]) -> Loss:
    """The loss that the settings of a head name, joined by "+" where it is a sum.

    settings: loss, and of losses of pixels focal_gamma and dice.
    """
    if settings["loss"] == "db":
        return text_loss
    known: dict[str, Loss] = {
        "cross_entropy": cross_entropy,
        "dice": {"patch": dice, "batch": batch_dice, "penalty": penalised_dice}[settings["dice"]],
        "focal": partial(focal, gamma=settings["focal_gamma"]),
    }
    terms = [known[name] for name in settings["loss"].split("+")]

    def total(
        logits: torch.Tensor, label: torch.Tensor, weight_K: torch.Tensor, whole: torch.Tensor | None = None
    ) -> torch.Tensor:
        return torch.stack([term(logits, label, weight_K, whole) for term in terms]).sum()

    return total


def cross_entropy(
    logits: torch.Tensor, label: torch.Tensor, weight_K: torch.Tensor, whole: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean of -log p of the true class over the pixels, each with the weight of its class."""
    loss = torch_cross_entropy(logits.float(), label.long(), weight_K, ignore_index=IGNORED, reduction="sum")
    return loss / not_0(_pixel_weights(label if whole is None else whole, weight_K).sum())


def focal(
    logits: torch.Tensor,
    label: torch.Tensor,
    weight_K: torch.Tensor,
    whole: torch.Tensor | None = None,
    *,
    gamma: float,
) -> torch.Tensor:
    """Mean of -(1 - p)^gamma log p (Lin et al. 2017), weighted as ``cross_entropy``, which it is where gamma is 0."""
    loss_BHW = torch_cross_entropy(logits.float(), label.long(), ignore_index=IGNORED, reduction="none")
    missed_BHW = (-torch.expm1(-loss_BHW)).clamp_min(_LEAST)
    loss = (_pixel_weights(label, weight_K) * missed_BHW**gamma * loss_BHW).sum()
    return loss / not_0(_pixel_weights(label if whole is None else whole, weight_K).sum())


def dice(
    logits: torch.Tensor, label: torch.Tensor, weight_K: torch.Tensor, whole: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over patches of 1 - 2 Σ p g / (Σ p² + Σ g²) (Milletari et al. 2016), p predicted and g true, 0 or 1.

    Of each patch it is the mean, with the weights, over the classes that its truth has: a class that is predicted but
    not there costs those that are, and little: a false blob on 1 % of a patch costs 0.005. Patches without a label have
    no part.
    """
    shared_BK, square_BK, true_BK = _dice_sums(logits, label)
    missed_BK = 1 - 2 * shared_BK / not_0(square_BK + true_BK)
    return _mean_over_patches(missed_BK, weight_K * (true_BK > 0), label, whole)


def penalised_dice(
    logits: torch.Tensor, label: torch.Tensor, weight_K: torch.Tensor, whole: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over patches and all classes of 1 - (2 Σ p g + 1e-5) / (Σ p² + Σ g² + 1e-5), with the weights.

    It is MONAI's ``DiceLoss(softmax=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5)``. A class that a patch
    lacks costs next to 1 as soon as Σ p² exceeds 1e-5, and so nearly the same for any blob: the slope is about 0.
    """
    shared_BK, square_BK, true_BK = _dice_sums(logits, label)
    missed_BK = 1 - (2 * shared_BK + _SMOOTH) / (square_BK + true_BK + _SMOOTH)
    labelled_B1 = (label != IGNORED).flatten(1).any(1)[:, None]
    return _mean_over_patches(missed_BK, weight_K * labelled_B1, label, whole)


def batch_dice(
    logits: torch.Tensor, label: torch.Tensor, weight_K: torch.Tensor, whole: torch.Tensor | None = None
) -> torch.Tensor:
    """1 - 2 Σ p g / (Σ p² + Σ g²) with sums over all patches together, the mean over the classes that these have.

    It is the Dice of the whole batch (MONAI's ``batch=True``; nnU-Net's ``batch_dice``, Isensee et al. 2021): a false
    blob counts where another patch has the class. Where memory holds a part of the batch, sums are of that part, which
    weighs as much as it has patches with a label.
    """
    sums = [part_BK.sum(0, keepdim=True) for part_BK in _dice_sums(logits, label)]
    missed_1K = 1 - 2 * sums[0] / not_0(sums[1] + sums[2])
    weight_1K = weight_K * (sums[2] > 0)
    share = _labelled(label) / not_0(_labelled(label if whole is None else whole))
    return share * ((weight_1K * missed_1K).sum() / not_0(weight_1K.sum()))


def _dice_sums(logits: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Σ p g, Σ p² and Σ g over the pixels of each patch that have a label, each (B, K)."""
    known_B1HW = (label != IGNORED)[:, None]
    true = (label[:, None] == torch.arange(logits.shape[1], device=label.device)[:, None, None]).float()
    found = torch.where(known_B1HW, logits.float().softmax(1), 0)
    return (found * true).sum((2, 3)), found.square().sum((2, 3)), true.sum((2, 3))


def _mean_over_patches(
    missed_BK: torch.Tensor, weight_BK: torch.Tensor, label: torch.Tensor, whole: torch.Tensor | None
) -> torch.Tensor:
    loss_B = (weight_BK * missed_BK).sum(1) / not_0(weight_BK.sum(1))
    return loss_B.sum() / not_0(_labelled(label if whole is None else whole))


def _labelled(label: torch.Tensor) -> torch.Tensor:
    """How many patches have a label."""
    return (label != IGNORED).flatten(1).any(1).sum()


def class_weights(pixels_K: NDArray[np.int64], mode: str) -> torch.Tensor:
    """Weight of every class in a loss, float32 (K,): 1, or pixels / (classes × pixels of the class) where balanced."""
    if mode == "none":
        return torch.ones(len(pixels_K))
    return torch.from_numpy(pixels_K.sum() / (len(pixels_K) * pixels_K.clip(1))).float()


def _pixel_weights(label: torch.Tensor, weight_K: torch.Tensor) -> torch.Tensor:
    """The weight of each pixel's class, float32 like `label`; 0 where ignored."""
    table = torch.zeros(IGNORED + 1, device=weight_K.device)
    table[: len(weight_K)] = weight_K
    return table[label.long()]
