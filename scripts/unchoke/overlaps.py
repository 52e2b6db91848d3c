"""How well predicted masks cover the true ones: intersection over union, Dice, and their 95 % intervals.

All figures come from counts of pixels, int64 (K, K) for K classes, truth in rows and prediction in columns. Counts add
up: those of an image are the sum over its bands, those of a bootstrap resample a weighted sum over images.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unchoke import evaluation, metrics
from unchoke.evaluation import Figure
from unchoke.intervals import jackknifed
from unchoke.metrics import Counts
from unchoke.tiling import IGNORED


@dataclass(frozen=True)
class Overlaps:
    """What the masks of several images are worth."""

    figures: dict[str, Figure]
    """``mean_iou``, ``mean_dice`` (over the classes in the truth) and ``pixel_accuracy``."""
    per_class: dict[str, list[Figure]]
    """``iou`` and ``dice`` of every class; NaN for one that is neither in the truth nor predicted."""


def counts_of(label_N: NDArray[np.integer], predicted_N: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """How often the class of the row was taken for that of the column, int64 (K, K); arrays of any one shape.

    Pixels whose label is IGNORED do not count.
    """
    known_N = label_N != IGNORED
    return metrics.confusion_matrix(label_N[known_N], predicted_N[known_N], n_classes)


def iou(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Intersection over union of each class (Jaccard 1912), 0 to 1, (…, K) of (…, K, K); NaN where it is nowhere."""
    return _iou(_margins(counts_KK))


def dice(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Dice coefficient of each class (Dice 1945), which is its F1, 0 to 1, (…, K); NaN where it is nowhere."""
    return _dice(_margins(counts_KK))


def mean_iou(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean of ``iou`` over the classes that are in the truth, (…); NaN where none is."""
    counts = _margins(counts_KK)
    return _mean(_iou(counts), counts)


def mean_dice(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean of ``dice`` over the classes that are in the truth, (…); NaN where none is."""
    counts = _margins(counts_KK)
    return _mean(_dice(counts), counts)


def pixel_accuracy(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Share of the pixels whose class was found, 0 to 1, (…); NaN where there are none."""
    return _accuracy(_margins(counts_KK))


def summarise(counts_IKK: NDArray[np.integer], group_I: NDArray[np.object_] | None = None) -> Overlaps:
    """Figures of I images together, with intervals by leaving out images, or groups where images belong to some.

    Values are of the summed counts, so that a large image weighs more than a small one. group_I as in ``evaluate``;
    `sd` is NaN, since there is one prediction. A figure that rests on one image has no interval.
    """
    images = _margins(counts_IKK)
    value = _all_of(images, np.ones((1, len(counts_IKK))))
    place_I = evaluation.group_places(group_I, len(counts_IKK))
    left_out, units = _left_out(images, place_I), int(place_I.max()) + 1

    def figure(name: str, place: int = 0) -> Figure:
        found = float(value[name][0, place])
        return Figure(found, *jackknifed(found, left_out[name][:, place]), float("nan"), units)

    classes = range(counts_IKK.shape[-1])
    return Overlaps(
        {name: figure(name) for name in ("mean_iou", "mean_dice", "pixel_accuracy")},
        {name: [figure(name, place) for place in classes] for name in ("iou", "dice")},
    )


def _margins(counts_KK: NDArray[np.integer]) -> Counts:
    """What all figures are made of, each (…, K)."""
    right_K = np.diagonal(counts_KK, axis1=-2, axis2=-1)
    return Counts(*(part.astype(np.float64) for part in (right_K, counts_KK.sum(-1), counts_KK.sum(-2))))


def _all_of(images: Counts, weight_BI: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    """Every figure for B weightings of the images, (B, K) or (B, 1)."""
    weight_BI = weight_BI.astype(np.float64)  # float32 does not hold the pixels of a slide
    return _figures(Counts(*(weight_BI @ part for part in (images.right, images.label, images.predicted))))


def _left_out(images: Counts, place_I: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Every figure without each of U units, (U, K) or (U, 1)."""

    def rest(part_IK: NDArray[np.float64]) -> NDArray[np.float64]:
        sum_UK = np.zeros((int(place_I.max()) + 1, part_IK.shape[1]))
        np.add.at(sum_UK, place_I, part_IK)
        return np.asarray(part_IK.sum(0) - sum_UK)

    return _figures(Counts(rest(images.right), rest(images.label), rest(images.predicted)))


def _figures(counts: Counts) -> dict[str, NDArray[np.float64]]:
    """Every figure of B counts, (B, K) or (B, 1)."""
    of_iou, of_dice = _iou(counts), _dice(counts)
    return {
        "iou": of_iou,
        "dice": of_dice,
        "mean_iou": _mean(of_iou, counts)[:, None],
        "mean_dice": _mean(of_dice, counts)[:, None],
        "pixel_accuracy": _accuracy(counts)[:, None],
    }


def _iou(counts: Counts) -> NDArray[np.float64]:
    return _ratio(counts.right, counts.label + counts.predicted - counts.right)


def _dice(counts: Counts) -> NDArray[np.float64]:
    return _ratio(2 * counts.right, counts.label + counts.predicted)


def _accuracy(counts: Counts) -> NDArray[np.float64]:
    return _ratio(counts.right.sum(-1), counts.label.sum(-1))


def _mean(value_K: NDArray[np.float64], counts: Counts) -> NDArray[np.float64]:
    """Over the classes in the truth; a class that is there has a value."""
    there_K = counts.label > 0
    return _ratio(np.where(there_K, value_K, 0).sum(-1), there_K.sum(-1))


def _ratio(above: NDArray[np.floating], below: NDArray[np.number]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0))
