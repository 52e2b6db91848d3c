"""The worst predictions of a head on test, in words: true, predicted, and how wrong or how sure."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unchoke.cells import cell_of
from unchoke.experiments.parts import read_labels
from unchoke.metrics.label_sets import probabilities
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION
from unchoke.report.mistakes import percent, worst_mistakes
from unchoke.report.results import HeadResults


class Worst(NamedTuple):
    """Some images of test, the worst first."""

    rows: NDArray[np.int64]
    said: list[tuple[str, str, str]]
    """Of each: the truth, the prediction, and how sure or how wrong it is."""
    wrong: int
    """Images of test that are wrong at all."""
    order: str
    """Which come first."""


def worst_of(head: HeadResults, most: int) -> Worst:
    """At most `most` images whose prediction is wrong."""
    return _WORST[head.task](head, most)


def _classes(head: HeadResults, most: int) -> Worst:
    classes, probability_NC = head.facts["classes"], head.probability_NC
    rows = worst_mistakes(head.label_N, probability_NC, most)
    said = [
        (classes[label], classes[int(probability_C.argmax())], percent(float(probability_C.max())))
        for label, probability_C in zip(head.label_N[rows], probability_NC[rows], strict=True)
    ]
    return Worst(rows, said, int((probability_NC.argmax(1) != head.label_N).sum()), "most confident")


def _numbers(head: HeadResults, most: int) -> Worst:
    true_N, predicted_N = head.label_N[:, 0], head.number_N
    error_N = predicted_N - true_N
    rows = np.argsort(-np.abs(error_N), kind="stable")[:most]
    rows = rows[error_N[rows] != 0]
    said = [(f"{true_N[row]:.4g}", f"{predicted_N[row]:.4g}", f"{error_N[row]:+.3g}") for row in rows]
    return Worst(rows, said, int((error_N != 0).sum()), "largest errors")


def _labels(head: HeadResults, most: int) -> Worst:
    """Images by the cross-entropy of their labels; a label is given where half of the replicates give it."""
    names, true_NK = np.array(head.facts["classes"], object), head.label_N.astype(bool)
    given_NK = read_labels(head.logits_RNC, head.facts["thresholds"]).mean(0) >= 0.5
    probability_NK = probabilities(head.logits_RNC).mean(0).clip(1e-12, 1 - 1e-12)
    loss_N = -np.log(np.where(true_NK, probability_NK, 1 - probability_NK)).sum(1)
    wrong_M = np.flatnonzero((given_NK != true_NK).any(1))
    rows = wrong_M[np.argsort(-loss_N[wrong_M], kind="stable")][:most]
    said = [(_listed(names[true_NK[row]]), _listed(names[given_NK[row]]), "") for row in rows]
    return Worst(rows, said, len(wrong_M), "least likely")


def _listed(names: NDArray[np.object_]) -> str:
    return cell_of(names) if len(names) else "none"


_WORST: dict[str, Callable[[HeadResults, int], Worst]] = {
    CLASSIFICATION: _classes,
    REGRESSION: _numbers,
    MULTILABEL: _labels,
}
