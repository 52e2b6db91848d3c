"""The loss of text heads with differentiable binarization (Liao et al. 2020): probability, threshold, binary map.

The paper gives the probability and the threshold 1 and 10 as weights, which are kept. Its cross-entropy of the binary
map is Dice here, as in its authors' code, where that of the probability weighs 5. DESIGN.md lists all differences.

Labels are uint8 (B, S, S): 0 background, 1 text (the shrunk word), IGNORED elsewhere. Targets of the threshold are
float32 (B, S, S) from 0 to 1; 1 is outside the band around a border, and has no part.
"""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from unchoke.mask_heads.layers import Maps
from unchoke.names import IGNORED

THRESHOLD = "labels.threshold"
"""Name of the target in training, beside the maps that a head sees."""
STEEPNESS = 50.0  # k of the approximate binary map
NEGATIVES = 3  # for each pixel of text, the hardest of the background
BORDER_WEIGHT = 10.0  # of the threshold's L1
_TEXT = 1


class WithThreshold(nn.Module):
    """A text head whose result holds what ``text_loss`` needs, side by side."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, maps: Maps) -> torch.Tensor:
        """(B, 4, S, S): logits of background and text, logit and target of the threshold. maps: with ``THRESHOLD``."""
        logits, border = self.model.with_threshold(maps)  # type: ignore[operator]
        return torch.cat([logits, border, maps[THRESHOLD].to(border.dtype)], 1)


def text_loss(
    outputs: torch.Tensor, label: torch.Tensor, weight_K: torch.Tensor, whole: torch.Tensor | None = None
) -> torch.Tensor:
    """Balanced cross-entropy of the probability, 10 times the L1 of the threshold, and Dice of the binary map, added.

    outputs: of ``WithThreshold``. whole: label of the whole batch where `label` is a part; see ``losses``. The weights
    of classes have no part: hard negatives balance the classes.
    """
    whole = label if whole is None else whole
    text = outputs[:, 1] - outputs[:, 0]
    threshold = outputs[:, 2].sigmoid()
    binary = torch.sigmoid(STEEPNESS * (text.sigmoid() - threshold))
    border = _border_error(threshold, outputs[:, 3], label, whole)
    return _hard_cross_entropy(text, label, whole) + BORDER_WEIGHT * border + _dice(binary, label, whole)


def _hard_cross_entropy(text: torch.Tensor, label: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Mean of -log p over all pixels of text and, patch by patch, the hardest of the background, 3 for each of text.

    The authors' code draws the hardest of the whole batch. Drawn patch by patch, the parts of a batch add up to the
    whole. A patch with less text than the others gives as many as the mean patch, also one without text.
    """
    losses = binary_cross_entropy_with_logits(text, (label == _TEXT).float(), reduction="none")
    mean_negatives = _mean_negatives(whole)
    wanted_B = _wanted(label, mean_negatives)
    hardest_BN = losses.where(label == 0, 0).flatten(1).topk(int(wanted_B.max()), dim=1).values
    taken_BN = torch.arange(hardest_BN.shape[1], device=label.device) < wanted_B[:, None]
    total = losses.where(label == _TEXT, 0).sum() + hardest_BN.where(taken_BN, 0).sum()
    return total / not_0((whole == _TEXT).sum() + _wanted(whole, mean_negatives).sum())


def _mean_negatives(whole: torch.Tensor) -> torch.Tensor:
    """Negatives that the mean patch of a batch gives."""
    return NEGATIVES * (whole == _TEXT).sum() // len(whole)


def _wanted(label: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """How many negatives each patch gives, at most all that it has."""
    text_B = (label == _TEXT).flatten(1).sum(1)
    return torch.minimum((label == 0).flatten(1).sum(1), torch.maximum(NEGATIVES * text_B, least))


def _border_error(
    threshold: torch.Tensor, target: torch.Tensor, label: torch.Tensor, whole: torch.Tensor
) -> torch.Tensor:
    """Mean of |threshold - target| in the bands of a patch, and of that over the patches with kernels.

    Bands that reach into a patch without a kernel have no part: `whole`, which holds no thresholds, tells how many
    patches the mean is of.
    """
    band = (target < 1) & (label == _TEXT).flatten(1).any(1)[:, None, None]
    error_B = (threshold - target).abs().where(band, 0).flatten(1).sum(1) / not_0(band.flatten(1).sum(1))
    return error_B.sum() / (whole == _TEXT).flatten(1).any(1).sum().clamp_min(1)


def _dice(binary: torch.Tensor, label: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """1 - 2 Σ b g / (Σ b + Σ g) over all patches of `label` together; 0 where they have no text.

    A part of a batch weighs as much as it has patches. So the parts add up to their mean, not to Dice of the batch.
    """
    known, true = label != IGNORED, (label == _TEXT).float()
    shared, total = (binary * true).sum(), binary.where(known, 0).sum() + true.sum()
    missed = torch.where((label == _TEXT).any(), 1 - 2 * shared / not_0(total), 0)
    return missed * len(label) / len(whole)


def not_0(divisor: torch.Tensor) -> torch.Tensor:
    """The divisor with 1 in the place of 0."""
    return torch.where(divisor == 0, 1, divisor)
