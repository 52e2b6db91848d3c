"""Pure: first-order influence of each image on a figure; for the comparison of two heads on the same images.

With weights w on the images, a figure is about ``value + w @ term`` (the infinitesimal jackknife, Jaeckel 1972;
Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 6). The terms sum to 0.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unchoke.metrics import calibration, classification, label_sets, numbers
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION


class Scored(NamedTuple):
    """A figure of a head on some images."""

    value_R: NDArray[np.float64]
    """Of each replicate."""
    term_RN: NDArray[np.float64]
    """What each image adds to it."""


def scored(
    metric: str,
    label_N: NDArray[Any],
    logits_RNC: NDArray[np.floating],
    readings: Sequence[Any],
    task: str = CLASSIFICATION,
) -> Scored:
    """A figure of the config's ``evaluation.metric`` on N images, of R replicates.

    label_N: places of classes; numbers; or of labels bool (N, K). readings: of each replicate, what val chose: the
    temperature, which the log loss alone depends on, or of labels their thresholds.
    """
    figure = FIGURES[task][metric]
    each = [figure(label_N, logits_NC, reading) for logits_NC, reading in zip(logits_RNC, readings, strict=True)]
    value_R, term_RN = zip(*each, strict=True)
    return Scored(np.array(value_R, np.float64), np.stack(term_RN))


_Influence = tuple[float, NDArray[np.float64]]


def _accuracy(label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], _: float) -> _Influence:
    return _of_mean((logits_NC.argmax(1) == label_N).astype(np.float64))


def _log_loss(label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], temperature: float) -> _Influence:
    return _of_mean(calibration.log_losses(label_N, logits_NC, temperature))


def _of_mean(part_N: NDArray[np.float64]) -> _Influence:
    mean = float(part_N.mean())
    return mean, (part_N - mean) / len(part_N)


def _balanced_accuracy(label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], _: float) -> _Influence:
    predicted_N = logits_NC.argmax(1)
    counts = classification.class_counts(label_N, predicted_N, logits_NC.shape[1])
    off_N = (predicted_N == label_N) - classification.recalls(counts)[label_N]
    return float(classification.balanced_accuracy(counts)), off_N / (counts.label[label_N] * (counts.label > 0).sum())


def _macro_f1(label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], _: float) -> _Influence:
    predicted_N = logits_NC.argmax(1)
    counts = classification.class_counts(label_N, predicted_N, logits_NC.shape[1])
    size_C = counts.label + counts.predicted
    f1_C = np.divide(2 * counts.right, size_C, out=np.zeros_like(size_C), where=size_C > 0)
    slope_C = np.divide(1, size_C, out=np.zeros_like(size_C), where=size_C > 0)
    right_N = predicted_N == label_N
    gain_N = 2 * right_N * slope_C[label_N]
    cost_N = (f1_C * slope_C)[label_N] + (f1_C * slope_C)[predicted_N]
    return float(classification.macro_f1(counts)), (gain_N - cost_N) / (size_C > 0).sum()


def _auroc(label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], _: float) -> _Influence:
    return classification.auroc(label_N, classification.softmax(logits_NC))


def _average_precision(label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], _: float) -> _Influence:
    return classification.average_precision(label_N, classification.softmax(logits_NC))


_FIGURES: dict[str, Callable[[NDArray[np.integer], NDArray[np.floating], float], _Influence]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "auroc": _auroc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
}
FIGURES: Mapping[str, Mapping[str, Callable[..., _Influence]]] = {
    CLASSIFICATION: _FIGURES,
    REGRESSION: numbers.INFLUENCES,
    MULTILABEL: label_sets.INFLUENCES,
}
"""By what heads predict: the figures that may rank them."""

METRICS = tuple(_FIGURES)
"""Names of the config's ``evaluation.metric`` for classes."""


def most_apart(metric: str) -> float:
    """How far two heads can differ in a figure."""
    return {"log_loss": math.inf, "mae": math.inf, "r2": math.inf, "spearman": 2.0}.get(metric, 1.0)


def figure_of(metric: str, label_N: NDArray[np.integer], logits_NC: NDArray[np.floating]) -> float:
    """The figure alone, of one replicate; the log loss at the temperature that suits these images best."""
    temperature = calibration.fit_temperature(label_N, logits_NC)[0] if metric == "log_loss" else 1.0
    return _FIGURES[metric](label_N, logits_NC, temperature)[0]
