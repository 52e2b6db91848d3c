"""Pure: figures of merit of a classifier, from its labels and its class probabilities.

Counts are kept apart from figures because they add up: the counts of a resample are a weighted sum.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

CALIBRATION_BINS = 15
SPOKEN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "micro_f1": "micro F1",
    "mae": "mean absolute error",
    "r2": "R²",
    "spearman": "Spearman's rank correlation",
}
"""Figures of the config's ``evaluation.metric`` in words."""
LOWER_IS_BETTER = ("log_loss", "mae")
"""Figures that rank from the lowest to the highest; all others of the config's ``evaluation.metric`` the other way."""


def written(value: float, digits: int = 4, *, signed: bool = False) -> str:
    """A figure with so many decimals; errors that these would hide, or that are large, with as many digits in all."""
    decimals = value == 0 or 0.5 * 10.0**-digits <= abs(value) < 1e6
    return f"{value:{'+' if signed else ''}.{digits}{'f' if decimals else 'g'}}"


@dataclass(frozen=True)
class Counts:
    """How often each class was right, was there, was predicted: three arrays (…, C), for any number of samples."""

    right: NDArray[np.float64]
    label: NDArray[np.float64]
    predicted: NDArray[np.float64]


def class_counts(label_N: NDArray[np.integer], predicted_N: NDArray[np.integer], n_classes: int) -> Counts:
    """Counts of one sample, each (C,)."""
    right_N = label_N[label_N == predicted_N]
    columns = (np.bincount(values, minlength=n_classes) for values in (right_N, label_N, predicted_N))
    return Counts(*(column.astype(np.float64) for column in columns))


def accuracy(counts: Counts) -> NDArray[np.float64]:
    """Share of rows whose prediction is their label, 0 to 1; shape (…)."""
    return np.asarray(counts.right.sum(-1) / counts.label.sum(-1))


def balanced_accuracy(counts: Counts) -> NDArray[np.float64]:
    """Mean over the classes that occur of the share of their rows that is recognised, 0 to 1; shape (…)."""
    return _mean_where(counts.label > 0, counts.right, counts.label)


def macro_f1(counts: Counts) -> NDArray[np.float64]:
    """Mean over the classes that occur or are predicted of 2 right / (label + predicted), 0 to 1; shape (…)."""
    either = counts.label + counts.predicted
    return _mean_where(either > 0, 2 * counts.right, either)


def micro_f1(counts: Counts) -> NDArray[np.float64]:
    """2 right / (label + predicted) of the counts of all classes together, 0 to 1; NaN for none; shape (…)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * counts.right.sum(-1) / (counts.label.sum(-1) + counts.predicted.sum(-1)))


def _mean_where(
    counted: NDArray[np.bool_], above: NDArray[np.float64], below: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=counted).sum(-1) / counted.sum(-1))


def recalls(counts: Counts) -> NDArray[np.float64]:
    """Recall of every class, 0 to 1, shape (…, C); 0 for a class that does not occur."""
    return np.divide(counts.right, counts.label, out=np.zeros_like(counts.label), where=counts.label > 0)


def confusion_matrix(
    label_N: NDArray[np.integer], predicted_N: NDArray[np.integer], n_classes: int
) -> NDArray[np.int64]:
    """int64 (C, C): counts by true class (rows) and predicted class (columns)."""
    cells_N = label_N.astype(np.int64) * n_classes + predicted_N
    return np.asarray(np.bincount(cells_N, minlength=n_classes**2).reshape(n_classes, n_classes))


def softmax(logits_NC: NDArray[np.floating]) -> NDArray[np.float64]:
    """Class probabilities, float64, along the last axis."""
    powers = np.exp(logits_NC.astype(np.float64) - logits_NC.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def auroc(label_N: NDArray[np.integer], probability_NC: NDArray[np.floating]) -> tuple[float, NDArray[np.float64]]:
    """Area under the ROC curve, macro over one class against the rest, and what each row adds to it to first order.

    Equal scores count half (Mann and Whitney 1947). The second value, float64 (N,), sums to 0: with weights w the area
    is about ``area + w @ term`` (DeLong et al. 1988, by midranks as Sun and Xu 2014). NaN where only one class occurs.
    """
    places = classes_of_areas(label_N, probability_NC.shape[1])
    if not len(places):
        return float("nan"), np.full(len(label_N), np.nan)
    found = [area(label_N == place, probability_NC[:, place]) for place in places]
    return float(np.mean([area_ for area_, _ in found])), np.mean([term_N for _, term_N in found], 0)


def class_areas(label_N: NDArray[np.integer], probability_NC: NDArray[np.floating]) -> NDArray[np.float64]:
    """The areas that ``auroc`` is the mean of, in the order of ``classes_of_areas``."""
    places = classes_of_areas(label_N, probability_NC.shape[1])
    return np.array([area(label_N == place, probability_NC[:, place])[0] for place in places])


def classes_of_areas(label_N: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """The classes that have an area: those that occur; of two classes one, whose area is also the other's."""
    classes = np.unique(label_N).astype(np.int64)
    return classes[: 0 if len(classes) < 2 else 1 if n_classes == 2 else None]


def area(positive_N: NDArray[np.bool_], score_N: NDArray[np.floating]) -> tuple[float, NDArray[np.float64]]:
    """Area under the ROC curve of one class against the rest, as ``auroc``; both must occur."""
    rank_N, above_N = rankdata(score_N), np.empty(len(score_N))
    for side_N in (positive_N, ~positive_N):
        others = len(score_N) - side_N.sum()
        above_N[side_N] = (rank_N[side_N] - rankdata(score_N[side_N])) / others
    above_N[~positive_N] = 1 - above_N[~positive_N]  # share of the other side ranked correctly
    mean = float(above_N[positive_N].mean())
    return mean, (above_N - mean) / np.where(positive_N, positive_N.sum(), (~positive_N).sum())


def average_precision(
    label_N: NDArray[np.integer], probability_NC: NDArray[np.floating]
) -> tuple[float, NDArray[np.float64]]:
    """Average precision as scikit-learn defines it, macro over one class against the rest; of two, that of the second.

    It is the mean over the rows of a class of the precision at their probability. Classes that do not occur are left
    out; NaN where only one class occurs.

    The second value, float64 (N,), is what each row adds to the figure to first order, by leaving it out (jackknife).
    It sums to 0; NaN where a class has one row alone.
    """
    places = np.unique(label_N)
    if len(places) < 2:
        return float("nan"), np.full(len(label_N), np.nan)
    places = places[-1:] if probability_NC.shape[1] == 2 else places
    found = [precision_area(label_N == place, probability_NC[:, place]) for place in places]
    term_N = np.mean([jackknife_terms(left_out_N) for _, left_out_N in found], 0)
    return float(np.mean([value for value, _ in found])), term_N


def jackknife_terms(left_out_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each of N rows adds to a figure to first order, from the figure without each of them."""
    return np.asarray((left_out_N.mean() - left_out_N) * (len(left_out_N) - 1) / len(left_out_N))


def precision_area(positive_N: NDArray[np.bool_], score_N: NDArray[np.floating]) -> tuple[float, NDArray[np.float64]]:
    """Average precision of one class against the rest, and without each row, (N,); NaN without the only one."""
    rows, score_P = len(score_N), np.sort(score_N[positive_N])
    positives = len(score_P)
    above_P = rows - np.searchsorted(np.sort(score_N), score_P)  # rows with an equal or higher score
    right_P = positives - np.searchsorted(score_P, score_P)
    whole_P = right_P / above_P
    without_P = {  # without a row, of this class or not, that scores as high or higher
        False: np.divide(right_P, above_P - 1, out=np.zeros(positives), where=above_P > 1),
        True: np.divide(right_P - 1, above_P - 1, out=np.zeros(positives), where=above_P > 1),
    }
    left_out_N = np.full(rows, np.nan)
    for side, side_N in ((False, ~positive_N), (True, positive_N)):
        reached = np.searchsorted(score_P, score_N[side_N], "right")  # rows of the class with an equal or lower score
        lower_P, higher_P = (np.concatenate([[0.0], np.cumsum(part_P)]) for part_P in (without_P[side], whole_P))
        sum_M = lower_P[reached] + higher_P[-1] - higher_P[reached]
        if side and positives > 1:
            own = np.searchsorted(score_P, score_N[side_N])  # of equal scores any: their precisions are equal
            sum_M = (sum_M - without_P[True][own]) * positives / (positives - 1)
        left_out_N[side_N] = sum_M / positives if not side or positives > 1 else np.nan
    return float(whole_P.mean()), left_out_N


def calibration_bins(probability_NC: NDArray[np.floating]) -> NDArray[np.int64]:
    """The bin, of 15 equally wide ones from 0 to 1, of each row's highest probability; int64 (N,)."""
    highest_N = probability_NC.max(1)
    return np.asarray(np.clip(np.ceil(highest_N * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1))


def calibration_gaps(label_N: NDArray[np.integer], probability_NC: NDArray[np.floating]) -> NDArray[np.float64]:
    """Right (1 or 0) less the highest probability, of each row; float64 (N,)."""
    return np.asarray((probability_NC.argmax(1) == label_N) - probability_NC.max(1), np.float64)


def expected_calibration_error(gap_sums: NDArray[np.floating], rows: NDArray[np.floating] | int) -> NDArray[np.float64]:
    """ECE of Guo et al. 2017 (arXiv:1706.04599), 0 to 1: sum over bins of |sum of gaps in the bin| / rows.

    gap_sums: (…, 15), the sums of ``calibration_gaps`` by bin; rows: (…), how many there are.
    """
    return np.asarray(np.abs(gap_sums).sum(-1) / rows)
