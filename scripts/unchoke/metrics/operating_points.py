"""Pure: a head of two classes at a threshold: its sensitivity where its specificity is as asked.

The threshold is chosen on val and held on test, where both sensitivity and the specificity that is reached are read
(so do Gulshan et al. 2016, JAMA 316, 2402; STARD 2015, item 12a, wants thresholds to be chosen beforehand). One chosen
on test itself makes both look better than they are (Leeflang et al. 2008, Clinical Chemistry 54, 729).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unchoke.metrics.evaluation import Figure
from unchoke.metrics.parts import UNDEFINED, share
from unchoke.metrics.units import group_places

SENSITIVITY, SPECIFICITY = "sensitivity_at_specificity", "specificity_reached"
"""Names of the figures on test."""


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with its figures on test; what cannot be known is NaN."""

    thresholds: list[float]
    """Of each replicate: images whose margin is larger are called positive; NaN where val sets none."""
    sensitivity: Figure
    """Share of the positive images of test that are called positive."""
    specificity: Figure
    """Share of the negative images of test that are not."""
    negatives: int
    """Negative images of val, which set the threshold: few of them set it by chance."""
    unknown: str
    """Why something is not known; empty where all is."""


def margins(logits_RNC: NDArray[np.floating], positive: int) -> NDArray[np.float64]:
    """Logit of the positive class minus the other's, float64 (R, N).

    Its order is that of the probabilities, also where these are rounded to 0 or 1.
    """
    return np.asarray(logits_RNC[..., positive].astype(np.float64) - logits_RNC[..., 1 - positive])


def threshold_at(specificity: float, margin_N: NDArray[np.floating]) -> float:
    """The least margin of the negative images below or at which at least a share `specificity` of them lies."""
    place = math.ceil(specificity * len(margin_N) - 1e-9)  # 0.07 × 100 is 7, not the float above it
    return float(np.sort(margin_N)[max(place, 1) - 1])


def operating_point(
    specificity: float,
    val: tuple[NDArray[np.bool_], NDArray[np.float64]],
    test: tuple[NDArray[np.bool_], NDArray[np.float64]],
    group_N: NDArray[np.object_] | None = None,
) -> OperatingPoint:
    """The point whose threshold gives at least this specificity on val.

    val, test: which images are positive, (N,), and the ``margins`` of R replicates, (R, N). group_N: what the images of
    test belong to. Intervals are for thresholds that stay as they are.
    """
    (positive_N, margin_RN), (test_positive_N, test_margin_RN) = val, test
    finite = bool(np.isfinite(margin_RN).all() and np.isfinite(test_margin_RN).all())
    if not finite or positive_N.all():
        why = "val has no negative image, so there is no threshold" if finite else "logits are not all finite"
        return OperatingPoint([math.nan] * len(margin_RN), UNDEFINED, UNDEFINED, int((~positive_N).sum()), why)
    thresholds = [threshold_at(specificity, margin_N[~positive_N]) for margin_N in margin_RN]
    called_RN = test_margin_RN > np.array(thresholds)[:, None]
    place_N = group_places(group_N, len(test_positive_N))
    positive_RN = np.broadcast_to(test_positive_N, called_RN.shape)
    missing = [name for name, has in (("positive", test_positive_N), ("negative", ~test_positive_N)) if not has.any()]
    return OperatingPoint(
        thresholds,
        sensitivity=share(called_RN & positive_RN, positive_RN, place_N),
        specificity=share(~called_RN & ~positive_RN, ~positive_RN, place_N),
        negatives=int((~positive_N).sum()),
        unknown=f"test has no {missing[0]} image" if missing else "",
    )
