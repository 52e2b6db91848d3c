"""What a head's predictions are worth: figures, their 95 % intervals, and the comparison of two heads.

Intervals are percentiles of a bootstrap over images, or over groups where images belong to some (patients, slides):
images of one group are drawn together, since they are not independent (Davison and Hinkley 1997, chapter 3.8). The area
under the ROC curve is resampled to first order (DeLong's terms), the other figures are computed anew each time. Where
there are replicates (seeds, few-shot draws) a figure is the mean of theirs and `sd` its deviation over them.

Read with care: a handful of groups gives intervals that are too narrow, and the calibration error, never below 0,
intervals that lie too high where it is small.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import binomtest

from unchoke import metrics

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece")
LEVEL = 0.95
_BLOCK = 2**24  # most weights at once: resamples × images


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn."""

    resamples: int = 1000
    seed: int = 0


DEFAULT = Bootstrap()


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


def plain_figures(figures: dict[str, Figure]) -> dict[str, dict[str, float | None]]:
    """Figures as JSON has them: null for what is not known."""
    return {
        name: {key: known_or_none(value) for key, value in asdict(figure).items()} for name, figure in figures.items()
    }


def known_or_none(value: Any) -> Any:
    """None in the place of NaN and infinity, which JSON has not."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


@dataclass(frozen=True)
class Comparison:
    """How one head differs from another on the same images, in accuracy."""

    difference: float
    """Accuracy of the first less that of the second."""
    low: float
    high: float
    """95 % interval of the difference, from the same resamples for both."""
    p_value: float
    """Two-sided exact test of McNemar 1947 on the first replicate of each; it takes images as independent."""
    images: int
    """That both heads predicted."""


def evaluate(
    label_N: NDArray[np.integer],
    logits_RNC: NDArray[np.floating],
    group_N: NDArray[np.object_] | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> dict[str, Figure]:
    """Every figure of ``METRICS``.

    label_N: places of the labels among the C classes. logits_RNC: of R replicates. group_N: what each image belongs to;
    None, or all empty: images stand alone.
    """
    parts = [_figures_of(label_N, logits_NC) for logits_NC in logits_RNC]
    whole = [part(np.ones((1, len(label_N)), np.float32)) for part in parts]
    drawn: list[dict[str, NDArray[np.float64]]] = []
    for weight_BN in resample_weights(group_places(group_N, len(label_N)), bootstrap):
        each = [part(weight_BN) for part in parts]
        drawn.append({name: np.mean([one[name] for one in each], 0) for name in METRICS})
    figures = {}
    for name in METRICS:
        values_R = np.array([float(one[name][0]) for one in whole])
        low, high = interval_of(np.concatenate([block[name] for block in drawn])) if drawn else (np.nan, np.nan)
        sd = float(values_R.std(ddof=1)) if len(values_R) > 1 else float("nan")
        figures[name] = Figure(float(values_R.mean()), low, high, sd)
    return figures


def compare(
    right_one_RN: NDArray[np.bool_],
    right_two_RN: NDArray[np.bool_],
    group_N: NDArray[np.object_] | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Comparison:
    """The first head against the second on the same N images; each row of a replicate says what it got right."""
    difference_N = right_one_RN.mean(0) - right_two_RN.mean(0)
    place_N = group_places(group_N, len(difference_N))
    drawn = [weight_BN @ difference_N / weight_BN.sum(1) for weight_BN in resample_weights(place_N, bootstrap)]
    low, high = interval_of(np.concatenate(drawn)) if drawn else (float("nan"), float("nan"))
    one_N, two_N = right_one_RN[0], right_two_RN[0]
    gained, lost = int((one_N & ~two_N).sum()), int((two_N & ~one_N).sum())
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Comparison(float(difference_N.mean()), low, high, p_value, len(difference_N))


def _figures_of(
    label_N: NDArray[np.integer], logits_NC: NDArray[np.floating]
) -> Callable[[NDArray[np.float32]], dict[str, NDArray[np.float64]]]:
    """A function from weights (B, N) to every figure, each (B,)."""
    n_classes = logits_NC.shape[1]
    probability_NC = metrics.softmax(logits_NC)
    predicted_N = logits_NC.argmax(1)
    right_N = label_N == predicted_N
    by_label = _membership(label_N, n_classes)
    by_right = _membership(label_N, n_classes, right_N.astype(np.float32))
    by_predicted = _membership(predicted_N, n_classes)
    gaps_N = metrics.calibration_gaps(label_N, probability_NC)
    by_bin = _membership(metrics.calibration_bins(probability_NC), metrics.CALIBRATION_BINS, gaps_N)
    area, area_term_N = metrics.auroc(label_N, probability_NC)

    def figures(weight_BN: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        counts = metrics.Counts(
            *((table.T @ weight_BN.T).T.astype(np.float64) for table in (by_right, by_label, by_predicted))
        )
        return {
            "accuracy": metrics.accuracy(counts),
            "balanced_accuracy": metrics.balanced_accuracy(counts),
            "macro_f1": metrics.macro_f1(counts),
            "auroc": np.clip(area + weight_BN @ area_term_N, 0, 1),
            "ece": metrics.expected_calibration_error((by_bin.T @ weight_BN.T).T, weight_BN.sum(1)),
        }

    return figures


def _membership(column_N: NDArray[np.integer], columns: int, value_N: NDArray[np.floating] | None = None) -> csr_array:
    """Sparse (N, columns) with one entry a row."""
    rows = len(column_N)
    values = np.ones(rows, np.float32) if value_N is None else value_N
    return csr_array((values, column_N.astype(np.int64), np.arange(rows + 1)), shape=(rows, columns))


def group_places(group_N: NDArray[np.object_] | None, n_images: int) -> NDArray[np.int64]:
    """Number of the group of each image; an image without one stands alone."""
    if group_N is None or not group_N.any():
        return np.arange(n_images)
    names = [group or f"\0{row}" for row, group in enumerate(group_N)]  # no name of a group begins with NUL
    return np.unique(np.array(names, object).astype(str), return_inverse=True)[1].astype(np.int64)


def resample_weights(place_N: NDArray[np.int64], bootstrap: Bootstrap) -> Iterator[NDArray[np.float32]]:
    """Weights (B, N) of the images in blocks of resamples: how often the group of each was drawn.

    None at all where there is but one group: it tells nothing of others.
    """
    rng, n_groups = np.random.default_rng(bootstrap.seed), int(place_N.max()) + 1
    if n_groups < 2:
        return
    block = max(1, min(bootstrap.resamples, _BLOCK // len(place_N)))
    for start in range(0, bootstrap.resamples, block):
        rows = min(block, bootstrap.resamples - start)
        drawn = rng.integers(0, n_groups, (rows, n_groups)) + n_groups * np.arange(rows)[:, None]
        weight_BG = np.bincount(drawn.ravel(), minlength=rows * n_groups).reshape(rows, n_groups)
        yield weight_BG[:, place_N].astype(np.float32)


def interval_of(values_B: NDArray[np.float64]) -> tuple[float, float]:
    """Percentiles that hold LEVEL of the values between them; NaN where there are none."""
    values_B = values_B[np.isfinite(values_B)]
    if not len(values_B):
        return float("nan"), float("nan")
    low, high = np.quantile(values_B, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
