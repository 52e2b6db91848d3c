"""Pure: figures of a head on parts of a split: each class, and each group of images.

A figure is the mean over the replicates for which it is known. It is a share of images, so that its 95 % interval is

| units | share (precision, recall, sensitivity, …) | F1 |
|---|---|---|
| images | Wilson | Wilson for TP / (TP + FP + FN), turned into F1 (Lam et al. 2023, arXiv:2309.14621) |
| groups | jackknife over the groups, Student's t on logits | the same |

Units are the images of the denominator: for recall the images of the class, for precision the images predicted as it,
for F1 both. Replicates widen the interval as those of whole splits (``intervals.with_replicates``).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unchoke.metrics.evaluation import Figure
from unchoke.metrics.intervals import Interval, jackknifed, wilson, with_replicates
from unchoke.metrics.units import group_places

UNDEFINED = Figure(math.nan, math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class ClassFigures:
    """A class on a split; what cannot be known is NaN."""

    precision: Figure
    """Unknown where no replicate predicts the class."""
    recall: Figure
    """Unknown where the split has no image of the class."""
    f1: Figure
    """Unknown where both are."""
    images: int
    """Of the class."""
    predicting: int
    """Replicates that predict the class: precision is the mean of theirs."""


def class_figures(
    label_N: NDArray[np.integer],
    predicted_RN: NDArray[np.integer],
    n_classes: int,
    group_N: NDArray[np.object_] | None = None,
) -> list[ClassFigures]:
    """The figures of each class, in the order of the classes.

    label_N: places of the labels among the classes. predicted_RN: places that R replicates predict. group_N: what each
    image belongs to, as for ``evaluation.evaluate``.
    """
    places = np.arange(n_classes)
    return label_figures(label_N[:, None] == places, predicted_RN[..., None] == places, group_N)


def label_figures(
    true_NK: NDArray[np.bool_], predicted_RNK: NDArray[np.bool_], group_N: NDArray[np.object_] | None = None
) -> list[ClassFigures]:
    """The same of each of K labels, of which an image may have any number."""
    place_N, found = group_places(group_N, len(true_NK)), []
    for true_N, predicted_RN in zip(true_NK.T, np.moveaxis(predicted_RNK, -1, 0), strict=True):
        rows = np.flatnonzero(true_N | predicted_RN.any(0))
        true_RM = np.broadcast_to(true_N[rows], (len(predicted_RN), len(rows)))
        found.append(_class_figures(true_RM, predicted_RN[:, rows], place_N[rows]))
    return found


def _class_figures(
    label_RM: NDArray[np.bool_], predicted_RM: NDArray[np.bool_], place_M: NDArray[np.int64]
) -> ClassFigures:
    """Of a class, from the images that are of it or that any replicate takes for it."""
    hit_RM = label_RM & predicted_RM
    return ClassFigures(
        precision=share(hit_RM, predicted_RM, place_M),
        recall=share(hit_RM, label_RM, place_M),
        f1=share(hit_RM, label_RM | predicted_RM, place_M, as_f1=True),
        images=int(label_RM[0].sum()),
        predicting=int(predicted_RM.any(1).sum()),
    )


def group_figures(right_RN: NDArray[np.bool_], group_N: NDArray[np.object_]) -> dict[str, Figure]:
    """Accuracy within each group, by its name; `units` are its images, each for itself.

    right_RN: what R replicates got right. group_N: '' for an image without a group, which is in no figure.
    """
    inside_N = group_N != ""
    names, place_M = np.unique(group_N[inside_N].astype(str), return_inverse=True)
    images_G = np.bincount(place_M, minlength=len(names))
    share_RG = np.stack([np.bincount(place_M, row, len(names)) for row in right_RN[:, inside_N]]) / images_G
    return {
        str(name): _figure(share_R, int(images), wilson(float(share_R.mean()), int(images)))
        for name, share_R, images in zip(names, share_RG.T, images_G, strict=True)
    }


def share(
    hit_RN: NDArray[np.bool_], of_RN: NDArray[np.bool_], place_N: NDArray[np.int64], *, as_f1: bool = False
) -> Figure:
    """How many of the images `of_RN` are in `hit_RN`, the mean over the R replicates that have any.

    hit_RN: within of_RN. place_N: number of the unit of each image. as_f1: turn the share s, of the images that are of
    a class or taken for it, into F1 = 2 s / (1 + s).
    """
    known_R = of_RN.any(1)
    if not known_R.any():
        return UNDEFINED
    hit_RN, of_RN = hit_RN[known_R], of_RN[known_R]
    value_R = _turned(hit_RN.sum(1) / of_RN.sum(1), as_f1)
    mean, inside_N = float(value_R.mean()), of_RN.any(0)
    _, unit_M = np.unique(place_N[inside_N], return_inverse=True)
    if np.bincount(unit_M).max() == 1:
        units = round(float(of_RN.sum(1).mean()))
        found = _wilson(mean, units, as_f1)
    else:
        units = int(unit_M.max()) + 1
        found = jackknifed(mean, _left_out(hit_RN[:, inside_N], of_RN[:, inside_N], unit_M, as_f1))
    return _figure(value_R, units, found)


def _figure(value_R: NDArray[np.float64], units: int, found: Interval) -> Figure:
    """The mean over the replicates; found: its interval, were these replicates all there are."""
    low, high = with_replicates(found, value_R)
    sd = float(value_R.std(ddof=1)) if len(value_R) > 1 else math.nan
    return Figure(float(value_R.mean()), low, high, sd, units)


def _turned(share_: NDArray[np.float64], as_f1: bool) -> NDArray[np.float64]:
    return 2 * share_ / (1 + share_) if as_f1 else share_


def _wilson(mean: float, units: int, as_f1: bool) -> Interval:
    """Of a share, or of an F1 by way of the share that it is of (F1 grows with it)."""
    found = wilson(mean / (2 - mean) if as_f1 else mean, units)
    return Interval(*_turned(np.array(found), as_f1).tolist())


def _left_out(
    hit_RN: NDArray[np.bool_], of_RN: NDArray[np.bool_], unit_N: NDArray[np.int64], as_f1: bool
) -> NDArray[np.float64]:
    """The mean over the replicates without each of U units, (U,); NaN where a replicate has no image left."""
    hit_RU, of_RU = (np.stack([np.bincount(unit_N, row) for row in rows]) for rows in (hit_RN, of_RN))
    with np.errstate(invalid="ignore"):  # 0 of 0
        rest_RU = (hit_RN.sum(1)[:, None] - hit_RU) / (of_RN.sum(1)[:, None] - of_RU)
    return np.asarray(_turned(rest_RU, as_f1).mean(0))
