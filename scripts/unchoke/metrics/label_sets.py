"""Pure: figures of heads that predict any number of labels for an image: mean average precision, AUROC, F1.

An image has any number of K labels. Figures are means over labels, scikit-learn's ``average="macro"``, but a label for
which a figure is undefined does not count: without a positive image all of them, without a negative one the AUROC. F1
needs thresholds, one a label, which val chooses. The 95 % intervals are those of ``evaluation``:

| figure | interval |
|---|---|
| AUROC | Newcombe's for each label, added up by MOVER, but no narrower than DeLong; of groups DeLong |
| average precision, macro-F1, micro-F1 | jackknife over units, Student's t on logits |

They take thresholds as given.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from unchoke.metrics import classification
from unchoke.metrics.classification import Counts, area, jackknife_terms, precision_area
from unchoke.metrics.evaluation import Figure
from unchoke.metrics.intervals import Interval, mann_whitney, of_mean, on_logits, unit_variance, wider, with_replicates
from unchoke.metrics.units import group_places

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Influence = tuple[float, Floats]
_BLOCK = 2**22  # images × labels at once


def probabilities(logits: NDArray[np.floating]) -> Floats:
    """Of each label, float64, of the same shape."""
    return np.asarray(expit(logits.astype(np.float64)))


def thresholds(true_NK: Bools, logits_NK: NDArray[np.floating]) -> Floats:
    """The logits (K,) from which on F1 of a label is best on these images; the highest of equals.

    0, a probability of 0.5, for a label without a positive image, which tells nothing of a threshold. Between two
    images the threshold lies halfway.
    """
    return np.array([_threshold(true_NK[:, k], logits_NK[:, k]) for k in range(true_NK.shape[1])], np.float64)


def _threshold(true_N: Bools, logit_N: NDArray[np.floating]) -> float:
    if not true_N.any():
        return 0.0
    order = np.argsort(-logit_N.astype(np.float64), kind="stable")
    sorted_N = logit_N[order].astype(np.float64)
    last = np.append(sorted_N[1:] < sorted_N[:-1], True)  # of equal logits all are above a threshold, or none
    f1_N = np.where(last, 2 * np.cumsum(true_N[order]) / (np.arange(1, len(order) + 1) + true_N.sum()), -1.0)
    best = int(f1_N.argmax())
    return float(sorted_N[best] if best + 1 == len(order) else (sorted_N[best] + sorted_N[best + 1]) / 2)


def auroc(true_NK: Bools, logits_NK: NDArray[np.floating], _: object = None) -> Influence:
    """Area under the ROC curve, the mean over the labels of which images have both; NaN where there is none."""
    known = np.flatnonzero(true_NK.any(0) & ~true_NK.all(0))
    if not len(known):
        return _undefined(true_NK)
    found = [area(true_NK[:, k], logits_NK[:, k]) for k in known]
    return float(np.mean([value for value, _ in found])), np.mean([term_N for _, term_N in found], 0)


def average_precision(true_NK: Bools, logits_NK: NDArray[np.floating], _: object = None) -> Influence:
    """Average precision, the mean over the labels that an image has; NaN where there is none.

    The terms are those of the jackknife. Without the only image of a label the mean is over the others.
    """
    known = np.flatnonzero(true_NK.any(0))
    if not len(known):
        return _undefined(true_NK)
    found = [precision_area(true_NK[:, k], logits_NK[:, k]) for k in known]
    left_out_KN = np.stack([without_N for _, without_N in found])
    counted_N = np.isfinite(left_out_KN).sum(0)
    left_out_N = np.divide(np.nansum(left_out_KN, 0), counted_N, out=np.full(len(true_NK), np.nan), where=counted_N > 0)
    return float(np.mean([value for value, _ in found])), jackknife_terms(left_out_N)


def macro_f1(true_NK: Bools, logits_NK: NDArray[np.floating], threshold_K: Floats) -> Influence:
    """F1 at the thresholds, the mean over the labels that an image has or gets."""
    return _of_counts(classification.macro_f1, true_NK, logits_NK >= threshold_K)


def micro_f1(true_NK: Bools, logits_NK: NDArray[np.floating], threshold_K: Floats) -> Influence:
    """F1 at the thresholds, of the labels of all images together."""
    return _of_counts(classification.micro_f1, true_NK, logits_NK >= threshold_K)


def _of_counts(figure: Callable[[Counts], Floats], true_NK: Bools, predicted_NK: Bools) -> Influence:
    whole = _summed(true_NK, predicted_NK)
    if not (whole.label + whole.predicted).any():
        return _undefined(true_NK)
    left_out, size = [], max(1, _BLOCK // true_NK.shape[1])
    for start in range(0, len(true_NK), size):
        true_BK, predicted_BK = true_NK[start : start + size], predicted_NK[start : start + size]
        rest = Counts(whole.right - (true_BK & predicted_BK), whole.label - true_BK, whole.predicted - predicted_BK)
        with np.errstate(invalid="ignore"):  # where no label is left
            left_out.append(figure(rest))
    return float(figure(whole)), jackknife_terms(np.concatenate(left_out))


def _summed(true_NK: Bools, predicted_NK: Bools) -> Counts:
    return Counts(*(part.sum(0, dtype=np.float64) for part in (true_NK & predicted_NK, true_NK, predicted_NK)))


def _undefined(true_NK: Bools) -> Influence:
    return float("nan"), np.full(len(true_NK), np.nan)


INFLUENCES: dict[str, Callable[[Bools, NDArray[np.floating], Floats], Influence]] = {
    "average_precision": average_precision,
    "auroc": auroc,
    "macro_f1": macro_f1,
    "micro_f1": micro_f1,
}
"""As ``influences`` takes them: labels, logits (N, K), and the thresholds (K,) that were chosen on val."""
METRICS = tuple(INFLUENCES)


def evaluate(
    true_NK: NDArray[np.generic],
    logits_RNK: NDArray[np.floating],
    group_N: NDArray[np.object_] | None,
    threshold_RK: Sequence[Sequence[float]],
) -> dict[str, Figure]:
    """Every figure of ``METRICS``: the mean over R replicates, with its interval.

    group_N: as for ``evaluation.evaluate``. threshold_RK: of each replicate, logits.
    """
    truth_NK, place_N = true_NK.astype(bool), group_places(group_N, len(true_NK))
    units, figures = int(place_N.max()) + 1, {}
    for name, influence in INFLUENCES.items():
        pairs = zip(logits_RNK, np.array(threshold_RK, np.float64), strict=True)
        each = [influence(truth_NK, logits_NK, threshold_K) for logits_NK, threshold_K in pairs]
        value_R = np.array([value for value, _ in each])
        found = on_logits(
            float(value_R.mean()), unit_variance(np.mean([term_N for _, term_N in each], 0), place_N), units
        )
        if name == "auroc" and units == len(true_NK) and np.isfinite(value_R).all():
            found = wider(_by_labels(truth_NK, logits_RNK), found)
        low, high = with_replicates(found, value_R)
        sd = float(value_R.std(ddof=1)) if len(value_R) > 1 else float("nan")
        figures[name] = Figure(float(value_R.mean()), low, high, sd, units)
    return figures


def _by_labels(true_NK: Bools, logits_RNK: NDArray[np.floating]) -> Interval:
    """Of the mean area, from the labels' own intervals, where units are images."""
    positives_K, images = true_NK.sum(0), len(true_NK)
    known = np.flatnonzero((positives_K > 0) & (positives_K < images))
    area_RK = [[area(true_NK[:, k], logits_NK[:, k])[0] for k in known] for logits_NK in logits_RNK]
    value_K = np.mean(area_RK, 0).tolist()
    parts = [
        mann_whitney(value, int(positives_K[k]), int(images - positives_K[k]))
        for value, k in zip(value_K, known, strict=True)
    ]
    return of_mean(value_K, parts)


def good(name: str, true_NK: NDArray[np.generic], logits_RNK: NDArray[np.floating]) -> Floats:
    """A figure of each of R predictions, F1 at the thresholds that suit these images best; NaN: undefined."""
    true = true_NK.astype(bool)
    needs = name in ("macro_f1", "micro_f1")
    nothing = np.zeros(true.shape[1])
    return np.array(
        [INFLUENCES[name](true, one_NK, thresholds(true, one_NK) if needs else nothing)[0] for one_NK in logits_RNK]
    )
