"""Pure: one prediction of images against another, in a figure of the sums of their counts."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t

from unchoke.metrics import h_mean
from unchoke.metrics.evaluation import Comparison
from unchoke.metrics.intervals import student
from unchoke.metrics.iou import MEAN_IOUS, chosen_mean_iou
from unchoke.metrics.units import Bootstrap, group_places, resample_weights


@dataclass(frozen=True)
class Counts:
    """Counts of the test images, whose sums figures come from."""

    image_id_I: NDArray[np.int64]
    counts_I: NDArray[np.int64]
    """Pixels by true and predicted class, (I, K, K); of words matched, detected and true ones, (I, 3)."""


def compare_counts(
    one: Counts, best: Counts, groups: pd.Series, bootstrap: Bootstrap, metric: str = MEAN_IOUS[0]
) -> Comparison | None:
    """The first against the best, in a figure of summed counts; None where no image is in both.

    groups: what each image belongs to, by image_id.

    metric: one of ``iou.MEAN_IOUS``, or of words one of ``h_mean.FIGURES``.

    The figures of a resample are of its summed counts, so that a large image weighs more than a small one. Their
    deviation goes into Student's t with units - 1 degrees of freedom (Efron and Tibshirani 1993, chapter 12):
    percentiles of 3 to 10 images are too narrow, and no p-value of theirs is small enough to compare many heads.
    """
    images, place_one, place_best = np.intersect1d(one.image_id_I, best.image_id_I, return_indices=True)
    if not len(images):
        return None
    pair = one.counts_I[place_one], best.counts_I[place_best]
    place_I = group_places(groups.reindex(images.tolist()).to_numpy(object), len(images))
    drawn = [
        _difference(*pair, weight_I, metric) for block in resample_weights(place_I, bootstrap) for weight_I in block
    ]
    difference, units = _difference(*pair, np.ones(len(images), np.float32), metric), int(place_I.max()) + 1
    low, high, p_value = _student(difference, np.array(drawn), units)
    return Comparison(difference, low, high, p_value, len(images), units)


def _student(difference: float, drawn_B: NDArray[np.float64], units: int) -> tuple[float, float, float]:
    """Both ends of the interval and the p-value, from the differences of resamples; NaN where they cannot be known."""
    drawn_B = drawn_B[np.isfinite(drawn_B)]
    if units < 2 or len(drawn_B) < 2 or not math.isfinite(difference):
        return math.nan, math.nan, math.nan
    error = float(drawn_B.std(ddof=1)) * math.sqrt(units / (units - 1))  # a resample's deviation is of units, not - 1
    if not error > 0:  # equal in all images, or by the same in all
        return (0.0, 0.0, 1.0) if difference == 0 else (math.nan, math.nan, math.nan)
    half_width, p_value = student(units - 1) * error, 2 * float(t.sf(abs(difference) / error, units - 1))
    return max(difference - half_width, -1.0), min(difference + half_width, 1.0), p_value


def _difference(
    one_I: NDArray[np.int64], best_I: NDArray[np.int64], weight_I: NDArray[np.floating], metric: str
) -> float:
    weight_I = weight_I.astype(np.int64)  # whole numbers, which no sum of pixels rounds
    one, best = (figure_of(np.tensordot(weight_I, counts_I, 1), metric) for counts_I in (one_I, best_I))
    return one - best


def figure_of(counts: NDArray[np.int64], metric: str) -> float:
    """The figure `metric` of summed counts; NaN where it is undefined."""
    if metric in h_mean.FIGURES:
        return float(h_mean.ratios(counts)[h_mean.FIGURES.index(metric)])
    return float(chosen_mean_iou(counts, metric))
