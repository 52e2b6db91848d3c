"""Pure: how well predicted masks cover the true ones: intersection over union, Dice, and their 95 % intervals.

All figures come from counts of pixels, int64 (K, K) for K classes, truth in rows and prediction in columns. Counts add
up: an image's counts are the sum over its bands, a split's the sum over its images.

A mean over classes is of one of two sets, named in the figure. ``mean_iou`` takes the classes in the truth or
predicted, as torchmetrics' ``JaccardIndex(average="macro")``: one that is predicted and nowhere in the truth has IoU 0.
``mean_iou_in_truth`` takes the classes in the truth alone, so that such a class costs those that it was taken for.
Either is of the pixels of all images together (Everingham et al. 2015, PASCAL VOC), in which large images and large
regions weigh more, or, as ``image_mean_iou``, the mean of the figures of single images (Csurka et al. 2013).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unchoke.metrics import classification
from unchoke.metrics.classification import Counts
from unchoke.metrics.evaluation import Figure
from unchoke.metrics.intervals import jackknifed, student, unit_variance
from unchoke.metrics.units import group_places
from unchoke.names import IGNORED

MEAN_IOUS = ("mean_iou", "mean_iou_in_truth")
"""By one of which heads are chosen, ranked and compared."""
SPOKEN = {
    "mean_iou": "mean IoU over the classes in the truth or predicted",
    "mean_iou_in_truth": "mean IoU over the classes in the truth",
}
FIGURES = (*MEAN_IOUS, *(f"image_{name}" for name in MEAN_IOUS), "mean_dice", "pixel_accuracy")


@dataclass(frozen=True)
class Overlaps:
    """What the masks of several images are worth."""

    figures: dict[str, Figure]
    """Each of ``FIGURES``; ``image_…`` are means over the images, and have as `sd` the deviation over them."""
    per_class: dict[str, list[Figure]]
    """``iou`` and ``dice`` of every class; NaN for one that is neither in the truth nor predicted."""


def counts_of(label_N: NDArray[np.integer], predicted_N: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """Counts by true class (rows) and predicted class (columns), int64 (K, K); arrays of any one shape.

    Pixels whose label is IGNORED do not count.
    """
    known_N = label_N != IGNORED
    return classification.confusion_matrix(label_N[known_N], predicted_N[known_N], n_classes)


def iou(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Intersection over union of each class (Jaccard 1912), 0 to 1, (…, K) of (…, K, K); NaN where it is nowhere."""
    return _iou(_margins(counts_KK))


def dice(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Dice coefficient of each class (Dice 1945), which is its F1, 0 to 1, (…, K); NaN where it is nowhere."""
    return _dice(_margins(counts_KK))


def mean_iou(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean of ``iou`` over the classes that are in the truth or predicted, (…); NaN where there is no pixel."""
    counts = _margins(counts_KK)
    return _mean(_iou(counts), counts)


def mean_iou_in_truth(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean of ``iou`` over the classes that are in the truth, (…); NaN where none is."""
    counts = _margins(counts_KK)
    return _mean_in_truth(_iou(counts), counts)


def chosen_mean_iou(counts_KK: NDArray[np.integer], name: str) -> NDArray[np.float64]:
    """The one of ``MEAN_IOUS`` that `name` says, (…)."""
    return {"mean_iou": mean_iou, "mean_iou_in_truth": mean_iou_in_truth}[name](counts_KK)


def mean_dice(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean of ``dice`` over the classes that are in the truth or predicted, (…); NaN where there is no pixel."""
    counts = _margins(counts_KK)
    return _mean(_dice(counts), counts)


def pixel_accuracy(counts_KK: NDArray[np.integer]) -> NDArray[np.float64]:
    """Share of the pixels whose class was found, 0 to 1, (…); NaN where there are none."""
    return _accuracy(_margins(counts_KK))


def summarise(counts_IKK: NDArray[np.integer], group_I: NDArray[np.object_] | None = None) -> Overlaps:
    """Figures of I images together, with intervals by leaving out images, or groups where images belong to some.

    Values are of the summed counts, so that a large image weighs more than a small one, but for ``image_…``: means over
    the images that have a pixel with a label, with their deviation (n - 1). group_I as in ``evaluate``; the `sd` of the
    others is NaN, since there is one prediction. A figure that rests on one image has no interval.
    """
    images = _margins(counts_IKK)
    place_I = group_places(group_I, len(counts_IKK))
    of_images, units = _of_images(images), int(place_I.max()) + 1
    whole = Counts(*(part.sum(0, keepdims=True) for part in (images.right, images.label, images.predicted)))
    value, left_out = _figures(whole), _left_out(images, place_I)
    for name, value_I in of_images.items():
        value[f"image_{name}"] = np.array([[_mean_known(value_I)]])
        left_out[f"image_{name}"] = _means_without(value_I, place_I)[:, None]
    spread = {f"image_{name}": _deviation(value_I) for name, value_I in of_images.items()}

    def figure(name: str, place: int = 0) -> Figure:
        found = float(value[name][0, place])
        return Figure(found, *jackknifed(found, left_out[name][:, place]), float("nan"), units)

    classes = range(counts_IKK.shape[-1])
    return Overlaps(
        {name: replace(figure(name), sd=spread.get(name, float("nan"))) for name in FIGURES},
        {name: [figure(name, place) for place in classes] for name in ("iou", "dice")},
    )


def mean_over_images(value_I: NDArray[np.float64], group_I: NDArray[np.object_] | None = None) -> Figure:
    """Mean of a figure over the images that have one (not NaN), its deviation over them, and its 95 % interval:
    Student's t over images, or groups where images belong to some.
    """
    known_I = np.isfinite(value_I)
    mean, place_N = _mean_known(value_I), group_places(group_I, len(value_I))[known_I]
    place_N = np.unique(place_N, return_inverse=True)[1]
    units = int(place_N.max()) + 1 if len(place_N) else 0
    variance = unit_variance((value_I[known_I] - mean) / len(place_N), place_N) if units > 1 else float("nan")
    half_width = student(units - 1) * variance**0.5 if units > 1 else float("nan")
    return Figure(mean, mean - half_width, mean + half_width, _deviation(value_I), units)


def _margins(counts_KK: NDArray[np.integer]) -> Counts:
    """What all figures are made of, each (…, K)."""
    right_K = np.diagonal(counts_KK, axis1=-2, axis2=-1)
    return Counts(*(part.astype(np.float64) for part in (right_K, counts_KK.sum(-1), counts_KK.sum(-2))))


def _left_out(images: Counts, place_I: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Every figure of all pixels without each of U units, (U, K) or (U, 1)."""

    def rest(part_IK: NDArray[np.float64]) -> NDArray[np.float64]:
        sum_UK = np.zeros((int(place_I.max()) + 1, part_IK.shape[1]))
        np.add.at(sum_UK, place_I, part_IK)
        return np.asarray(part_IK.sum(0) - sum_UK)

    return _figures(Counts(rest(images.right), rest(images.label), rest(images.predicted)))


def _figures(counts: Counts) -> dict[str, NDArray[np.float64]]:
    """Every figure of all pixels of B counts, (B, K) or (B, 1)."""
    of_iou, of_dice = _iou(counts), _dice(counts)
    return {
        "iou": of_iou,
        "dice": of_dice,
        "mean_iou": _mean(of_iou, counts)[:, None],
        "mean_iou_in_truth": _mean_in_truth(of_iou, counts)[:, None],
        "mean_dice": _mean(of_dice, counts)[:, None],
        "pixel_accuracy": _accuracy(counts)[:, None],
    }


def _iou(counts: Counts) -> NDArray[np.float64]:
    return _ratio(counts.right, counts.label + counts.predicted - counts.right)


def _dice(counts: Counts) -> NDArray[np.float64]:
    return _ratio(2 * counts.right, counts.label + counts.predicted)


def _accuracy(counts: Counts) -> NDArray[np.float64]:
    return _ratio(counts.right.sum(-1), counts.label.sum(-1))


def _of_images(images: Counts) -> dict[str, NDArray[np.float64]]:
    """Both means of every image's IoU, (I,); NaN where an image has no pixel with a label."""
    value_IK = _iou(images)
    return {"mean_iou": _mean(value_IK, images), "mean_iou_in_truth": _mean_in_truth(value_IK, images)}


def _mean_known(value_I: NDArray[np.float64]) -> float:
    known_I = np.isfinite(value_I)
    return float(value_I[known_I].mean()) if known_I.any() else float("nan")


def _means_without(value_I: NDArray[np.float64], place_I: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean over the images that have a value without each of the U units that have such images, (U,)."""
    known_I = np.isfinite(value_I)
    _, place_N = np.unique(place_I[known_I], return_inverse=True)
    sum_U, count_U = np.bincount(place_N, value_I[known_I]), np.bincount(place_N)
    return _ratio(sum_U.sum() - sum_U, count_U.sum() - count_U)


def _deviation(value_I: NDArray[np.float64]) -> float:
    """Over the images that have a value (n - 1); NaN where there are not two."""
    known_I = value_I[np.isfinite(value_I)]
    return float(known_I.std(ddof=1)) if len(known_I) > 1 else float("nan")


def _mean(value_K: NDArray[np.float64], counts: Counts) -> NDArray[np.float64]:
    """Mean over the classes with a value, which are in the truth or predicted."""
    return _mean_where(value_K, counts.label + counts.predicted > 0)


def _mean_in_truth(value_K: NDArray[np.float64], counts: Counts) -> NDArray[np.float64]:
    """Over the classes in the truth; a class that is there has a value."""
    return _mean_where(value_K, counts.label > 0)


def _mean_where(value_K: NDArray[np.float64], there_K: NDArray[np.bool_]) -> NDArray[np.float64]:
    return _ratio(np.where(there_K, value_K, 0).sum(-1), there_K.sum(-1))


def _ratio(above: NDArray[np.floating], below: NDArray[np.number]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0))
