"""Stage: paired comparisons of a head with the best one, on the test images that both predicted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.metrics import h_mean
from unchoke.metrics.counts import Counts
from unchoke.metrics.evaluation import Comparison, compare
from unchoke.metrics.influences import most_apart, scored
from unchoke.metrics.positive import positive_last
from unchoke.names import CLASSIFICATION, MULTILABEL
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
    label_N: NDArray[Any]
    logits_RNC: NDArray[np.floating]
    """Of each replicate, raw."""
    readings: list[Any]
    """Of each replicate what val chose: the temperature of classes, or the thresholds (K,) of labels."""
    task: str = CLASSIFICATION


def read_answers(run: RunRecord, positive: str | None = None, split: str = "test") -> Answers:
    """The answers in the results of a run; of two classes the positive one second, see ``metrics.positive``."""
    arrays = open_group(run.group)
    image_id_N, label_N, logits_RNC = (
        np.asarray(arrays[f"{split}_{name}"]) for name in ("image_id", "label", "logits")
    )
    readings = run.facts.get("thresholds") or run.facts["temperatures"]
    if run.task == CLASSIFICATION:
        label_N, logits_RNC = positive_last(label_N, logits_RNC, run.facts["classes"], positive)
    if run.task == MULTILABEL:
        label_N, readings = label_N.astype(bool), [np.array(one) for one in readings]
    return Answers(image_id_N, label_N, logits_RNC, readings, run.task)


def compare_answers(one: Answers, best: Answers, groups: pd.Series, metric: str = "accuracy") -> Comparison | None:
    """The first head against the best in a metric; None where no image is in both, as with a head of other splits.

    groups: what each image belongs to, by image_id. metric: of the config's ``evaluation.metric``.
    """
    images, place_one, place_best = np.intersect1d(one.image_id_N, best.image_id_N, return_indices=True)
    if not len(images):
        return None
    group_N = groups.reindex(images.tolist()).to_numpy(object)
    first, second = (
        scored(metric, head.label_N[place], head.logits_RNC[:, place], head.readings, head.task)
        for head, place in ((one, place_one), (best, place_best))
    )
    return compare(first, second, group_N, most_apart(metric))


def read_counts(run: RunRecord) -> Counts:
    """The pixels of the test images that could be read throughout; `run` has scores."""
    return _counts(counts_of_test(run.scores or {}))


def read_words(run: RunRecord) -> Counts:
    """The words of these images, of all sizes together."""
    found = counts_of_test(run.scores or {}, "counts_of_words")
    return _counts({image_id: each[h_mean.STRATA.index("all")] for image_id, each in found.items()})


def _counts(of_image: dict[int, Any]) -> Counts:
    return Counts(np.array(list(of_image), np.int64), np.array(list(of_image.values()), np.int64))
