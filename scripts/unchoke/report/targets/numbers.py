"""Predicted numbers against true ones, and the errors."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unchoke.metrics.classification import written
from unchoke.report.style import COLOURS, GREY, new_figure, styled

_SPOKEN = {"mae": "MAE", "r2": "R²", "spearman": "Spearman"}


@styled
def draw_predicted(
    true_N: NDArray[np.floating],
    predicted_N: NDArray[np.floating],
    figures: dict[str, dict[str, Any]],
    title: str,
    note: str = "",
) -> Figure:
    """Left predictions over the true numbers of test, with the line of right ones; right the errors over predictions.

    figures: of test by name, with their intervals.
    """
    figure = new_figure(12, 5.6, f"{title}: predicted against true on test, {len(true_N):,} images", note)
    left, right = figure.subplots(1, 2)
    dots: dict[str, Any] = {"color": COLOURS[0], "alpha": max(0.15, min(0.7, 100 / len(true_N))), "markersize": 5}
    ends = [float(end(np.concatenate([true_N, predicted_N]))) for end in (np.min, np.max)]
    left.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="right")
    left.plot(true_N, predicted_N, "o", markeredgewidth=0, **dots)
    left.set_xlabel("true")
    left.set_ylabel("predicted")
    left.legend(loc="upper left")
    first, *others = (_said(name, figures[name]) for name in _SPOKEN)
    left.set_title(f"{first}\n{' · '.join(others)}", size=10)
    error_N = predicted_N - true_N
    right.axhline(0, color=GREY, linestyle="--", linewidth=1)
    right.plot(predicted_N, error_N, "o", markeredgewidth=0, **dots)
    right.set_xlabel("predicted")
    right.set_ylabel("predicted less true")
    low, middle, high = np.quantile(error_N, [0.05, 0.5, 0.95])
    right.set_title(f"errors: median {middle:+.3g}, nine of ten from {low:+.3g} to {high:+.3g}", size=10)
    return figure


def _said(name: str, figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return f"{_SPOKEN[name]} undefined"
    low, high = figure["low"], figure["high"]
    ends = "" if low is None or high is None else f" ({written(low, 3)} to {written(high, 3)})"
    return f"{_SPOKEN[name]} {written(figure['value'], 3)}{ends}"
