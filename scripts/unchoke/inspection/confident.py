"""Pure: labels that are probably wrong, from probabilities that did not see them: confident learning.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial
Intelligence Research 70 (arXiv:1911.00068). A class's threshold is the mean probability of that class over the images
that bear its label (their equation 2). An image is confidently of a class whose probability is at least its threshold;
of several the likeliest counts. Images by given and confident class are the confident joint (equation 1). Its rows are
scaled to the images of each class (equation 3), which estimates how many of class i are truly of class j. As many
images are listed as are confidently of another class than the given one: those of the largest margin over all classes.
Images whose label is the likeliest class are never listed.

The paper's default takes, of each pair of classes, as many as equation 3 estimates ("prune by noise rate", section
3.2). That lists more, and a smaller share of them is wrong. The margin is the logarithm of how many times likelier the
other class is than the given one, where the paper takes the difference of probabilities. Both choices were made by the
F1 of lists of labels flipped on purpose, of digits and of photographs (`benchmarks/label_errors.py`).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-300  # probability, so that it has a logarithm
_BLOCK = 4096  # rows whose probabilities are copied at once
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Doubts(NamedTuple):
    """What probabilities say of N labels."""

    suggested_N: Ints
    """The likeliest class of a listed image; -1 for labels that are not listed."""
    margin_N: Floats
    """Natural logarithm of the likeliest other class's probability over that of the given one. Of classes
    without images none counts."""

    def above(self, margin: float) -> Ints:
        """Places of the listed labels whose margin is above `margin`, the largest first, of equals the first."""
        place_F = np.flatnonzero((self.suggested_N >= 0) & (self.margin_N > margin))
        return place_F[np.argsort(-self.margin_N[place_F], kind="stable")]


def self_confidence(p_NC: Floats, y_N: Ints) -> Floats:
    """Threshold of each class, float64 (C,): the mean probability of the class over images with its label.

    p_NC: probabilities. y_N: places of the labels. Infinite for a class without images, so that none is confidently so.
    """
    own_N, count_C = p_NC[np.arange(len(y_N)), y_N], np.bincount(y_N, minlength=p_NC.shape[1])
    sum_C = np.bincount(y_N, own_N, minlength=p_NC.shape[1])
    return np.asarray(np.divide(sum_C, count_C, out=np.full(p_NC.shape[1], np.inf), where=count_C > 0))


def confident_classes(p_NC: Floats, y_N: Ints) -> Ints:
    """The likeliest of the classes whose threshold an image reaches, int64 (N,); -1 where it reaches none."""
    threshold_C, confident_N = self_confidence(p_NC, y_N), np.empty(len(y_N), np.int64)
    for block in _blocks(len(y_N)):
        reached_BC = np.where(p_NC[block] >= threshold_C, p_NC[block], -1.0)
        confident_N[block] = np.where(reached_BC.max(1) >= 0, reached_BC.argmax(1), -1)
    return confident_N


def confident_joint(p_NC: Floats, y_N: Ints) -> Ints:
    """Images by given class (rows) and confident class (columns), int64 (C, C); those of no confident class in none."""
    confident_N, n_classes = confident_classes(p_NC, y_N), p_NC.shape[1]
    counted_N = confident_N >= 0
    cells = y_N[counted_N] * n_classes + confident_N[counted_N]
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def images_by_class(p_NC: Floats, y_N: Ints) -> Floats:
    """Estimated images by given (rows) and true class (columns), float64 (C, C); rows sum to the images of each class.

    A class without confident images counts as right.
    """
    joint_CC, count_C = confident_joint(p_NC, y_N), np.bincount(y_N, minlength=p_NC.shape[1])
    total_C1 = joint_CC.sum(1, keepdims=True)
    estimated_CC = joint_CC * count_C[:, None] / np.maximum(total_C1, 1)
    return np.where(total_C1 > 0, estimated_CC, np.diag(count_C))


def wrong_share(p_NC: Floats, y_N: Ints) -> float:
    """Estimated share of wrong labels, 0 to 1."""
    estimated_CC = images_by_class(p_NC, y_N)
    return float(1 - np.trace(estimated_CC) / len(y_N))


def doubts(p_NC: Floats, y_N: Ints) -> Doubts:
    """What out-of-fold probabilities float64 (N, C) say of labels int64 (N,), places among the classes.

    Memory holds a few numbers a row beside the probabilities.
    """
    margin_N, other_N = np.empty(len(y_N)), np.empty(len(y_N), np.int64)
    never_C = np.bincount(y_N, minlength=p_NC.shape[1]) == 0
    for block in _blocks(len(y_N)):
        p_BC, rows, label_B = p_NC[block].copy(), np.arange(len(y_N[block])), y_N[block]
        own_B = p_BC[rows, label_B]
        p_BC[rows, label_B] = -np.inf
        p_BC[:, never_C] = -np.inf
        other_N[block] = p_BC.argmax(1)
        margin_N[block] = _log(p_BC.max(1)) - _log(own_B)
    joint_CC = confident_joint(p_NC, y_N)
    listed = np.argsort(-margin_N, kind="stable")[: joint_CC.sum() - np.trace(joint_CC)]
    listed = listed[margin_N[listed] > 0]
    suggested_N = np.full(len(y_N), -1, np.int64)
    suggested_N[listed] = other_N[listed]
    return Doubts(suggested_N, margin_N)


def _log(p: Floats) -> Floats:
    return np.log(np.maximum(p, _LEAST))


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))
