"""Pure: figures of heads that predict a number: mean absolute error, R², Spearman's rank correlation.

Each figure comes with what every image adds to it to first order (the infinitesimal jackknife; see ``influences``). The
95 % intervals are Student's t over units, images or groups, on a scale without bounds:

| figure | scale |
|---|---|
| MAE | logarithms |
| R² | logarithms of 1 - R², the share of the variance that is left |
| Spearman's r | Fisher's z, which is half the logit of (1 + r) / 2 |
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from unchoke.metrics.evaluation import Figure
from unchoke.metrics.intervals import UNKNOWN, Interval, on_logits, on_logs, unit_variance, with_replicates
from unchoke.metrics.units import group_places

Floats = NDArray[np.float64]
Influence = tuple[float, Floats]
"""A figure, and what each image adds to it; NaN where it is undefined."""


def mae(true_N: Floats, predicted_N: Floats) -> Influence:
    """Mean absolute error, in units of the target."""
    error_N = np.abs(predicted_N - true_N)
    return float(error_N.mean()), (error_N - error_N.mean()) / len(error_N)


def r2(true_N: Floats, predicted_N: Floats) -> Influence:
    """1 - Σ (y - ŷ)² / Σ (y - mean y)² over these images, as scikit-learn's ``r2_score``; NaN for a constant target."""
    square_N, spread_N = np.square(predicted_N - true_N), np.square(true_N - true_N.mean())
    if _is_constant(true_N):
        return _undefined(true_N)
    left = float(square_N.mean() / spread_N.mean())
    return 1 - left, (left * spread_N - square_N) / (len(true_N) * spread_N.mean())


def spearman(true_N: Floats, predicted_N: Floats) -> Influence:
    """Pearson's correlation of midranks; NaN where target or prediction is constant.

    The influence has two parts: the image's own ranks, and how it moves the ranks of the others (Croux and Dehon 2010,
    "Influence functions of the Spearman and Kendall correlation measures"). Ties move by halves.
    """
    if _is_constant(true_N) or _is_constant(predicted_N):
        return _undefined(true_N)
    u_N, v_N = (rankdata(values_N) / len(values_N) for values_N in (true_N, predicted_N))
    u_N, v_N = u_N - u_N.mean(), v_N - v_N.mean()
    covariance, u2, v2 = float((u_N * v_N).mean()), float((u_N**2).mean()), float((v_N**2).mean())
    rho = covariance / np.sqrt(u2 * v2)
    d_covariance_N = u_N * v_N + _moved(true_N, v_N) + _moved(predicted_N, u_N) - 3 * covariance
    d_u2_N = u_N**2 + 2 * _moved(true_N, u_N) - 3 * u2
    d_v2_N = v_N**2 + 2 * _moved(predicted_N, v_N) - 3 * v2
    term_N = d_covariance_N / np.sqrt(u2 * v2) - rho / 2 * (d_u2_N / u2 + d_v2_N / v2)
    return float(np.clip(rho, -1, 1)), term_N / len(term_N)


def _moved(value_N: Floats, centred_N: Floats) -> Floats:
    """Of each image: the mean over all of `centred_N` where their value is larger, by half where it is equal."""
    order = np.argsort(value_N, kind="stable")
    sum_above = np.append(np.cumsum(centred_N[order][::-1])[::-1], 0.0)
    first, behind = (np.searchsorted(value_N[order], value_N, side) for side in ("left", "right"))
    return np.asarray((sum_above[first] + sum_above[behind]) / (2 * len(value_N)))


def _is_constant(value_N: Floats) -> bool:
    return bool((value_N == value_N[0]).all())


def _undefined(value_N: Floats) -> Influence:
    return float("nan"), np.full(len(value_N), np.nan)


def _of_r2(value: float, variance: float, units: int) -> Interval:
    left = on_logs(1 - value, variance, units)
    return Interval(1 - left.high, 1 - left.low)


def _of_rho(value: float, variance: float, units: int) -> Interval:
    found = on_logits((1 + value) / 2, variance / 4, units)
    return Interval(2 * found.low - 1, 2 * found.high - 1)


_FIGURES: dict[str, tuple[Callable[[Floats, Floats], Influence], Callable[[float, float, int], Interval], Interval]] = {
    "mae": (mae, on_logs, Interval(0.0, np.inf)),
    "r2": (r2, _of_r2, Interval(-np.inf, 1.0)),
    "spearman": (spearman, _of_rho, Interval(-1.0, 1.0)),
}
"""The function, its interval from value, variance and units, and the bounds of the figure."""
METRICS = tuple(_FIGURES)


def evaluate(
    true_N: NDArray[np.floating], predicted_RN1: NDArray[np.floating], group_N: NDArray[np.object_] | None = None
) -> dict[str, Figure]:
    """Every figure of ``METRICS``: the mean over R replicates, with its interval.

    predicted_RN1: in units of the target. group_N: as for ``evaluation.evaluate``.
    """
    place_N = group_places(group_N, len(true_N))
    units, figures = int(place_N.max()) + 1, {}
    for name, (_, interval, bounds) in _FIGURES.items():
        each = [INFLUENCES[name](true_N, predicted_N1, None) for predicted_N1 in predicted_RN1]
        value_R = np.array([value for value, _ in each])
        mean, variance = float(value_R.mean()), unit_variance(np.mean([term_N for _, term_N in each], 0), place_N)
        found = interval(mean, variance, units) if np.isfinite(mean) else UNKNOWN
        low, high = with_replicates(found, value_R, bounds.high, bounds.low)
        figures[name] = Figure(mean, low, high, float(value_R.std(ddof=1)) if len(value_R) > 1 else np.nan, units)
    return figures


def _influence(name: str) -> Callable[[NDArray[np.floating], NDArray[np.floating], Any], Influence]:
    figure = _FIGURES[name][0]
    return lambda true_N, predicted_N1, _: figure(*(part.astype(np.float64).ravel() for part in (true_N, predicted_N1)))


INFLUENCES = {name: _influence(name) for name in METRICS}
"""As ``influences`` takes them: target, predictions (N, 1), and nothing that was fitted on val."""


def good(name: str, true_N: NDArray[np.floating], predicted_RN1: Sequence[NDArray[np.floating]]) -> Floats:
    """A figure of each of R predictions such that higher is better: minus the MAE; NaN where it is undefined."""
    sign = -1 if name == "mae" else 1
    return np.array([sign * INFLUENCES[name](true_N, predicted_N1, None)[0] for predicted_N1 in predicted_RN1])
