"""Stage: paired comparisons of a head with the best one, on the test images that both predicted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t

from unchoke.metrics import h_mean
from unchoke.metrics.classification import LOWER_IS_BETTER
from unchoke.metrics.evaluation import Comparison, compare
from unchoke.metrics.influences import scored
from unchoke.metrics.intervals import student
from unchoke.metrics.iou import MEAN_IOUS, chosen_mean_iou
from unchoke.metrics.positive import positive_last
from unchoke.metrics.units import Bootstrap, group_places, resample_weights
from unchoke.store.run_record import RunRecord, counts_of_test
from unchoke.store.zarr_bytes import open_group

TOLD_APART = 0.05
"""Heads whose adjusted p-value is below it differ: the chance that any of equal heads is told apart."""


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in the same order (Holm 1979, "A simple sequentially rejective multiple test
    procedure"). NaN is no comparison: it stays NaN and is not counted.
    """
    known = sorted((place for place, p in enumerate(p_values) if not math.isnan(p)), key=lambda place: p_values[place])
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


@dataclass(frozen=True)
class Answers:
    """Predictions of an image head on a split."""

    image_id_N: NDArray[np.int64]
    label_N: NDArray[np.integer]
    logits_RNC: NDArray[np.floating]
    """Of each replicate, raw."""
    temperatures: list[float]


def read_answers(run: RunRecord, positive: str | None = None, split: str = "test") -> Answers:
    """The answers in the results of a run; of two classes the positive one second, see ``metrics.positive``."""
    arrays = open_group(run.group)
    image_id_N, label_N, logits_RNC = (
        np.asarray(arrays[f"{split}_{name}"]) for name in ("image_id", "label", "logits")
    )
    return Answers(
        image_id_N, *positive_last(label_N, logits_RNC, run.facts["classes"], positive), run.facts["temperatures"]
    )


def compare_answers(one: Answers, best: Answers, groups: pd.Series, metric: str = "accuracy") -> Comparison | None:
    """The first head against the best in a metric; None where no image is in both, as with a head of other splits.

    groups: what each image belongs to, by image_id. metric: of the config's ``evaluation.metric``.
    """
    images, place_one, place_best = np.intersect1d(one.image_id_N, best.image_id_N, return_indices=True)
    if not len(images):
        return None
    group_N = groups.reindex(images.tolist()).to_numpy(object)
    first, second = (
        scored(metric, head.label_N[place], head.logits_RNC[:, place], head.temperatures)
        for head, place in ((one, place_one), (best, place_best))
    )
    return compare(first, second, group_N, math.inf if metric in LOWER_IS_BETTER else 1.0)


@dataclass(frozen=True)
class Counts:
    """Counts of the test images, whose sums figures come from."""

    image_id_I: NDArray[np.int64]
    counts_I: NDArray[np.int64]
    """Pixels by true and predicted class, (I, K, K); of words matched, detected and true ones, (I, 3)."""


def read_counts(run: RunRecord) -> Counts:
    """The pixels of the test images that could be read throughout; `run` has scores."""
    return _counts(counts_of_test(run.scores or {}))


def read_words(run: RunRecord) -> Counts:
    """The words of these images, of all sizes together."""
    found = counts_of_test(run.scores or {}, "counts_of_words")
    return _counts({image_id: each[h_mean.STRATA.index("all")] for image_id, each in found.items()})


def _counts(of_image: dict[int, Any]) -> Counts:
    return Counts(np.array(list(of_image), np.int64), np.array(list(of_image.values()), np.int64))


def compare_counts(
    one: Counts, best: Counts, groups: pd.Series, bootstrap: Bootstrap, metric: str = MEAN_IOUS[0]
) -> Comparison | None:
    """The first head against the best, as ``compare_answers`` compares image heads, in a figure of summed counts.

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
    one, best = (_figure(np.tensordot(weight_I, counts_I, 1), metric) for counts_I in (one_I, best_I))
    return one - best


def _figure(counts: NDArray[np.int64], metric: str) -> float:
    if metric in h_mean.FIGURES:
        return float(h_mean.ratios(counts)[h_mean.FIGURES.index(metric)])
    return float(chosen_mean_iou(counts, metric))
