"""How good the logits of a classifying head are on val; what chooses among its settings."""

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.errors import SplitError
from unchoke.metrics.classification import LOWER_IS_BETTER, SPOKEN
from unchoke.metrics.influences import figure_of

SUMS = ("accuracy", "balanced_accuracy")
"""Figures that are sums over rows."""


def average_views(outputs: torch.Tensor, views: int) -> torch.Tensor:
    """Logits (…, V·N, C) of all views to (…, N, C): logarithms of the mean probability where there are several."""
    if views == 1:
        return outputs
    *outer, rows, classes = outputs.shape
    apart = torch.log_softmax(outputs, -1).reshape(*outer, views, rows // views, classes)
    return torch.logsumexp(apart, -3) - float(np.log(views))


def class_score(averaged: torch.Tensor, y_N: torch.Tensor, figure: str) -> torch.Tensor:
    """As ``rows.score``, of places of classes; `averaged` over views, (…, N, C)."""
    if figure in ("auroc", "average_precision") and bool((y_N == y_N[0]).all()):
        raise SplitError(
            f"No head can be chosen by {SPOKEN[figure]}: images of val are of one class.",
            found=f"{len(y_N)} images of one class",
            expected="images of two classes or more",
            do="set evaluation.metric to another figure, or change dataset.split",
        )
    if figure in SUMS:
        return comparable(score_of(averaged, y_N, score_weights(y_N, figure)))
    label_N, outer = y_N.cpu().numpy(), averaged.shape[:-2]
    each = [_good(figure, label_N, one.cpu().numpy()) for one in averaged.reshape(-1, *averaged.shape[-2:])]
    return comparable(torch.tensor(each, dtype=torch.float64, device=averaged.device).reshape(outer))


def _good(figure: str, label_N: NDArray[np.integer], logits_NC: NDArray[np.floating]) -> float:
    if not np.isfinite(logits_NC).all():
        return float("nan")
    value = figure_of(figure, label_N, logits_NC)
    return -value if figure in LOWER_IS_BETTER else value


def score_weights(y_N: torch.Tensor, figure: str) -> torch.Tensor:
    """Contribution of a correct row to the accuracy or the balanced accuracy, float64 (N,)."""
    if figure == "accuracy":
        return torch.full((len(y_N),), 1 / len(y_N), dtype=torch.float64, device=y_N.device)
    counts_C = torch.bincount(y_N).double()
    return 1 / (counts_C[y_N] * (counts_C > 0).sum())


def score_of(logits: torch.Tensor, y_N: torch.Tensor, weight_N: torch.Tensor) -> torch.Tensor:
    """Contribution of logits (…, N, C) to a score, float64 (…); NaN where a logit is not finite."""
    found = logits.max(-1).indices  # argmax, but seven times as fast where classes are not the last axis
    share = ((found == y_N) * weight_N).sum(-1)
    return torch.where(torch.isfinite(logits).flatten(-2).all(-1), share, torch.nan)


def comparable(scores: torch.Tensor) -> torch.Tensor:
    """Scores without the rounding of their sums, so that equals are equal."""
    return torch.round(scores, decimals=12)
