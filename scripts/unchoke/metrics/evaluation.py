"""Pure: the evaluation of predictions: figures, their 95 % intervals, and the comparison of two heads.

What varies is the units: images, or groups of images (patients, slides; Davison and Hinkley 1997, chapter 3.8) where
images belong to some. With replicates (seeds, few-shot draws) a figure is their mean and `sd` their deviation. The
interval includes their variation.

| figure | units are images | units are groups |
|---|---|---|
| accuracy | Clopper and Pearson | jackknife, Student's t on logits |
| balanced accuracy | Wilson for the recall of each class, added up by MOVER | the same |
| macro-F1 | jackknife, Student's t on logits | the same |
| AUROC | Newcombe's method 5; with 50 images or more on both sides DeLong on logits | DeLong by groups |
| AUROC of many classes | Newcombe's for each class, added up by MOVER, but no narrower than DeLong | DeLong by groups |
| average precision | jackknife, Student's t on logits | the same, by groups |
| log loss, Brier score | Student's t on logarithms | the same |
| calibration error | none: it is never below 0, and lies too high where it is small | none |
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from unchoke.metrics import calibration, classification, intervals
from unchoke.metrics.intervals import (
    Interval,
    clopper_pearson,
    jackknifed,
    mann_whitney,
    of_mean,
    on_logits,
    on_logs,
    student,
    unit_variance,
    wider,
    wilson,
    with_replicates,
)
from unchoke.metrics.units import group_places

if TYPE_CHECKING:
    from unchoke.metrics.influences import Scored

METRICS = (
    *("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision", "ece", "log_loss", "brier"),
    *("ece_raw", "log_loss_raw", "brier_raw"),  # before calibration
)
_LOSSES = ("log_loss", "brier", "log_loss_raw", "brier_raw")
_BLOCK = 2**24  # most numbers at once: of resamples × images, or units × classes
_NO_SPREAD = 1e-20  # variance, of rounding alone
_EQUAL = 1e-12  # difference, of rounding alone
_MANY = 50  # images, for which the variance of an area is well known


@dataclass(frozen=True)
class Figure:
    """One figure of merit; what cannot be known is NaN."""

    value: float
    """Mean over the replicates."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    sd: float
    """Deviation over the replicates (n - 1); NaN where there is one."""
    units: int
    """Independent ones that the interval is from: images, or groups."""


def plain_figures(figures: dict[str, Figure]) -> dict[str, dict[str, float | None]]:
    """Figures for JSON: null for unknown values."""
    return {
        name: {key: known_or_none(value) for key, value in asdict(figure).items()} for name, figure in figures.items()
    }


def known_or_none(value: Any) -> Any:
    """None in the place of NaN and infinity, which JSON has not."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


@dataclass(frozen=True)
class Comparison:
    """How one head differs from another on the same images, in one figure."""

    difference: float
    """Figure of the first head minus the second's."""
    low: float
    high: float
    """95 % interval of the difference; NaN where it cannot be known."""
    p_value: float
    """Two-sided, of the same Student's t: below 0.05 where the interval leaves 0 out."""
    images: int
    """That both heads predicted."""
    units: int
    """Independent ones among them: images, or groups."""


def evaluate(
    label_N: NDArray[np.integer],
    logits_RNC: NDArray[np.floating],
    group_N: NDArray[np.object_] | None = None,
    temperatures: Sequence[float] | None = None,
) -> dict[str, Figure]:
    """Every figure of ``METRICS``.

    label_N: places of the labels among the C classes. logits_RNC: of R replicates. group_N: what each image belongs to;
    None, or all empty: images stand alone. temperatures: of each replicate, for ``ece``, ``log_loss`` and ``brier``;
    None: all 1. The area under the ROC curve is of the raw probabilities, as are the figures whose names end in
    ``_raw``.
    """
    scales = [1.0] * len(logits_RNC) if temperatures is None else temperatures
    place_N = group_places(group_N, len(label_N))
    units, alone = int(place_N.max()) + 1, bool((np.bincount(place_N) == 1).all())
    each = [_Replicate(label_N, *one) for one in zip(logits_RNC, scales, strict=True)]
    left_out = [one.left_out(place_N) for one in each]
    figures = {}
    for name in METRICS:
        value_R = np.array([one.figures[name] for one in each])
        mean = float(value_R.mean())
        found = _interval(name, mean, label_N, each, place_N) if alone else intervals.UNKNOWN
        if not alone or name in ("macro_f1", "average_precision", *_LOSSES):
            found = _by_units(name, mean, each, left_out, place_N)
        low, high = with_replicates(found, value_R, np.inf if name in _LOSSES else 1.0)
        sd = float(value_R.std(ddof=1)) if len(value_R) > 1 else float("nan")
        figures[name] = Figure(mean, low, high, sd, units)
    return figures


def compare(one: "Scored", two: "Scored", group_N: NDArray[np.object_] | None = None, most: float = 1.0) -> Comparison:
    """The first head against the second in a figure of the same N images; see ``influences.scored``.

    The variances over units and over replicates add up, and so do their degrees of freedom (Satterthwaite 1946).
    Replicates of the same number, which share seeds or draws, are compared one by one. most: that the figure can be.
    """
    term_N = one.term_RN.mean(0) - two.term_RN.mean(0)
    place_N, difference = group_places(group_N, len(term_N)), float(one.value_R.mean() - two.value_R.mean())
    units = int(place_N.max()) + 1
    parts = [(unit_variance(term_N, place_N), units - 1), *_replicate_variances(one.value_R, two.value_R)]
    variance = sum(part for part, _ in parts)
    if not variance > _NO_SPREAD:  # no spread was seen, or one unit alone
        same = abs(difference) < _EQUAL and units > 1 and np.isfinite(variance)
        ends = (0.0, 0.0) if same else (float("nan"), float("nan"))
        return Comparison(difference, *ends, 1.0 if same else float("nan"), len(term_N), units)
    degrees = variance**2 / sum(part**2 / free for part, free in parts)
    half_width, p_value = student(degrees) * variance**0.5, 2 * float(t.sf(abs(difference) / variance**0.5, degrees))
    ends = max(difference - half_width, -most), min(difference + half_width, most)
    return Comparison(difference, *ends, p_value, len(term_N), units)


def _replicate_variances(one_R: NDArray[np.float64], two_R: NDArray[np.float64]) -> list[tuple[float, int]]:
    """Variances of the mean over replicates, each with its degrees of freedom; none where there is one replicate."""
    varying = [one_R - two_R] if len(one_R) == len(two_R) else [one_R, two_R]
    return [(float(value_R.var(ddof=1)) / len(value_R), len(value_R) - 1) for value_R in varying if len(value_R) > 1]


class _Replicate:
    """Figures of one replicate, and their components."""

    def __init__(self, label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], temperature: float) -> None:
        n_classes, probability_NC = logits_NC.shape[1], classification.softmax(logits_NC)
        self.predicted_N, self.probability_NC = logits_NC.argmax(1), probability_NC
        self.label_N, self.n_classes = label_N, n_classes
        self.counts = classification.class_counts(label_N, self.predicted_N, n_classes)
        self.area, self.area_term_N = classification.auroc(label_N, probability_NC)
        precision, self.precision_term_N = classification.average_precision(label_N, probability_NC)
        self.losses: dict[str, NDArray[np.float64]] = {}
        """Of each image, (N,); the figures of these names are their means."""
        self.figures = {name: float(figure(self.counts)) for name, figure in _OF_COUNTS.items()}
        self.figures |= {"auroc": self.area, "average_precision": precision}
        for scale, end in ((temperature, ""), (1.0, "_raw")):
            self._judge_probabilities(logits_NC, scale, end)
        self.figures |= {name: float(loss_N.mean()) for name, loss_N in self.losses.items()}

    def _judge_probabilities(self, logits_NC: NDArray[np.floating], temperature: float, end: str) -> None:
        """Losses and calibration error at a temperature; `end`: of their names."""
        (probability_NC,) = calibration.probabilities(logits_NC[None], [temperature])
        bins, gaps_N = (
            classification.calibration_bins(probability_NC),
            classification.calibration_gaps(self.label_N, probability_NC),
        )
        gap_sums = np.bincount(bins, gaps_N, classification.CALIBRATION_BINS).astype(np.float64)
        self.figures[f"ece{end}"] = float(classification.expected_calibration_error(gap_sums, len(gaps_N)))
        self.losses[f"log_loss{end}"] = calibration.log_losses(self.label_N, logits_NC, temperature)
        self.losses[f"brier{end}"] = calibration.brier_scores(self.label_N, probability_NC)

    def left_out(self, place_N: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Those that are made of counts, without each of U units: (U,)."""
        units = int(place_N.max()) + 1
        if units < len(place_N):
            return self._without(np.arange(len(place_N)), place_N, units)
        cell_N = self.label_N.astype(np.int64) * self.n_classes + self.predicted_N  # images of one cell count the same
        _, first, cell_of_N = np.unique(cell_N[np.argsort(place_N)], return_index=True, return_inverse=True)
        each = self._without(np.argsort(place_N)[first], np.arange(len(first)), len(first))
        return {name: values[cell_of_N] for name, values in each.items()}

    def _without(self, rows: NDArray[np.int64], place: NDArray[np.int64], units: int) -> dict[str, NDArray[np.float64]]:
        """The same for some rows, and the unit of each; a block of units at a time."""
        order, size = np.argsort(place, kind="stable"), max(1, _BLOCK // self.n_classes)
        found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in _OF_COUNTS}
        for start in range(0, units, size):
            first, behind = np.searchsorted(place[order], (start, start + size))
            part = order[first:behind]
            rest = self._rest(rows[part], place[part] - start, min(size, units - start))
            with np.errstate(invalid="ignore", divide="ignore"):  # where no image is left
                for name, figure in _OF_COUNTS.items():
                    found[name].append(figure(rest))
        return {name: np.concatenate(blocks) for name, blocks in found.items()}

    def _rest(self, rows: NDArray[np.int64], place: NDArray[np.int64], units: int) -> classification.Counts:
        """Counts without the rows of each unit, each (units, C)."""
        label, predicted = self.label_N[rows], self.predicted_N[rows]
        less = [np.zeros((units, self.n_classes)) for _ in range(3)]
        for counts, column, value in zip(less, (label, label, predicted), (label == predicted, 1, 1), strict=True):
            np.add.at(counts, (place, column), value)
        whole = (self.counts.right, self.counts.label, self.counts.predicted)
        return classification.Counts(*(all_C - part for all_C, part in zip(whole, less, strict=True)))


def _interval(
    name: str, mean: float, label_N: NDArray[np.integer], each: Sequence[_Replicate], place_N: NDArray[np.int64]
) -> Interval:
    """Of the mean over replicates, where units are images."""
    if name == "accuracy":
        return clopper_pearson(mean, len(label_N)) if len(label_N) > 1 else intervals.UNKNOWN
    if name == "balanced_accuracy":
        support_C = each[0].counts.label
        share_C = np.mean([classification.recalls(one.counts) for one in each], 0)
        there = np.flatnonzero(support_C)
        return of_mean(share_C[there].tolist(), [wilson(share_C[place], support_C[place]) for place in there])
    if name == "auroc" and np.isfinite(mean):
        areas = np.mean([classification.class_areas(label_N, one.probability_NC) for one in each], 0)
        positives = np.bincount(label_N, minlength=each[0].n_classes)
        used = classification.classes_of_areas(label_N, each[0].n_classes)
        parts = [
            mann_whitney(area, int(positives[place]), int(len(label_N) - positives[place]))
            for area, place in zip(areas, used, strict=True)
        ]
        found = of_mean(areas.tolist(), parts)
        if len(used) > 1:
            return wider(found, _delong(mean, each, place_N))
        many = min(positives[used[0]], len(label_N) - positives[used[0]]) >= _MANY
        return _delong(mean, each, place_N) if many else found
    return intervals.UNKNOWN


def _by_units(
    name: str,
    mean: float,
    each: Sequence[_Replicate],
    left_out: Sequence[dict[str, NDArray[np.float64]]],
    place_N: NDArray[np.int64],
) -> Interval:
    """Of the mean over replicates, by leaving out each unit."""
    if name == "auroc":
        return _delong(mean, each, place_N)
    if name == "average_precision":
        term_N = np.mean([one.precision_term_N for one in each], 0)
        return on_logits(mean, unit_variance(term_N, place_N), int(place_N.max()) + 1)
    if name in _LOSSES:
        loss_N = np.mean([one.losses[name] for one in each], 0)
        return on_logs(mean, unit_variance((loss_N - mean) / len(loss_N), place_N), int(place_N.max()) + 1)
    return jackknifed(mean, np.mean([one[name] for one in left_out], 0)) if name in _OF_COUNTS else intervals.UNKNOWN


def _delong(mean: float, each: Sequence[_Replicate], place_N: NDArray[np.int64]) -> Interval:
    """Of an area under the ROC curve, from DeLong's terms summed by units (Obuchowski 1997), on the scale of logits."""
    variance = unit_variance(np.mean([one.area_term_N for one in each], 0), place_N)
    return on_logits(mean, variance, int(place_N.max()) + 1)


_OF_COUNTS: dict[str, Callable[[classification.Counts], NDArray[np.float64]]] = {
    "accuracy": classification.accuracy,
    "balanced_accuracy": classification.balanced_accuracy,
    "macro_f1": classification.macro_f1,
}
