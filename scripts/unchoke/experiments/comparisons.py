"""Stage: a head against the best one, on the test images that both predicted: image heads, then mask heads."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.metrics.classification import LOWER_IS_BETTER
from unchoke.metrics.evaluation import Bootstrap, Comparison, compare, group_places, interval_of, resample_weights
from unchoke.metrics.influences import scored
from unchoke.metrics.iou import MEAN_IOUS, chosen_mean_iou
from unchoke.signed import read_signed
from unchoke.store.zarr_bytes import open_group, read_facts


@dataclass(frozen=True)
class Answers:
    """What a head said of the images of test."""

    image_id_N: NDArray[np.int64]
    label_N: NDArray[np.integer]
    logits_RNC: NDArray[np.floating]
    """Of each replicate, raw."""
    temperatures: list[float]


def read_answers(group: Path) -> Answers:
    """The answers in a group of results."""
    arrays = open_group(group)
    image_id_N, label_N, logits_RNC = (np.asarray(arrays[f"test_{name}"]) for name in ("image_id", "label", "logits"))
    return Answers(image_id_N, label_N, logits_RNC, read_facts(group)["temperatures"])


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
    """Pixels of test by true and predicted class."""

    image_id_I: NDArray[np.int64]
    counts_IKK: NDArray[np.int64]


@dataclass(frozen=True)
class MaskComparison:
    """How one mask head differs from another on the same images, in mean IoU; what cannot be known is NaN."""

    difference: float
    """Mean IoU of the first less that of the second."""
    low: float
    high: float
    """95 % interval of the difference, from the same resamples for both."""
    images: int
    """That both heads predicted."""


def read_counts(scores: Path) -> Counts:
    """The counts of the test images that could be read throughout, from the scores of a mask head."""
    images = read_signed(scores, "scores file of a mask head")["images"].items()
    found = {int(name): one["counts"] for name, one in images if one["split"] == "test" and not one["unread_px"]}
    return Counts(np.array(list(found), np.int64), np.array(list(found.values()), np.int64))


def compare_masks(
    one: Counts, best: Counts, groups: pd.Series, bootstrap: Bootstrap, metric: str = MEAN_IOUS[0]
) -> MaskComparison | None:
    """The first mask head against the best, as ``compare_answers`` compares image heads, in one of ``MEAN_IOUS``.

    The figures of a resample are of its summed counts, so that a large image weighs more than a small one.
    """
    images, place_one, place_best = np.intersect1d(one.image_id_I, best.image_id_I, return_indices=True)
    if not len(images):
        return None
    pair = one.counts_IKK[place_one], best.counts_IKK[place_best]
    place_I = group_places(groups.reindex(images.tolist()).to_numpy(object), len(images))
    drawn = [
        _difference(*pair, weight_I, metric) for block in resample_weights(place_I, bootstrap) for weight_I in block
    ]
    low, high = interval_of(np.array(drawn))
    return MaskComparison(_difference(*pair, np.ones(len(images), np.float32), metric), low, high, len(images))


def _difference(
    one_IKK: NDArray[np.int64], best_IKK: NDArray[np.int64], weight_I: NDArray[np.floating], metric: str
) -> float:
    weight_I = weight_I.astype(np.int64)  # whole numbers, which no sum of pixels rounds
    one_KK, best_KK = (np.tensordot(weight_I, counts_IKK, 1) for counts_IKK in (one_IKK, best_IKK))
    return float(chosen_mean_iou(one_KK, metric) - chosen_mean_iou(best_KK, metric))
