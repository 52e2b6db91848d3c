"""Histograms of the images' measures, with the thresholds of the rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

from unchoke.cleaning.measures import MEASURES
from unchoke.report.cleaning.findings import spoken
from unchoke.report.style import COLOURS, new_figure, note_figure, styled

BINS = 60
LABELS = {
    "mean": "mean of the grey values (0 to 255)",
    "deviation": "standard deviation of the grey values",
    "saturation": "saturation (0 to 1)",
    "sharpness": "sharpness: variance of the Laplacian",
    "side": "shorter side, px",
    "aspect": "longer side over shorter side",
    "area": "area, px",
}
"""What a panel shows, by its name."""
SIZES = ("side", "aspect", "area")
_THRESHOLDS = {
    ("dark", "mean_below"): "mean",
    ("bright", "mean_above"): "mean",
    ("blank", "deviation_below"): "deviation",
    ("blurred", "sharpness_below"): "sharpness",
    ("odd_size", "side_below"): "side",
    ("odd_size", "aspect_above"): "aspect",
}
"""The panel that a setting of a rule is drawn in."""
_GROUND = 0.5  # of a logarithmic axis of counts


@dataclass(frozen=True)
class Threshold:
    """A line beyond which a rule finds an image."""

    panel: str
    rule: str
    at: float
    below: bool
    """Whether the rule finds images below the line, or above it."""

    def count(self, value_N: NDArray[np.floating]) -> int:
        """Of the values how many lie beyond."""
        return int((value_N < self.at).sum() if self.below else (value_N > self.at).sum())


def panel_values(measure_NM: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    """What each panel shows, (N,), from the measures of the images that could be read; M:
    cleaning.measures.MEASURES."""
    columns = dict(zip(MEASURES, measure_NM.T.astype(np.float64), strict=True))
    width_N, height_N = columns.pop("width"), columns.pop("height")
    side_N = np.minimum(width_N, height_N)
    sizes = {"side": side_N, "aspect": np.maximum(width_N, height_N) / side_N, "area": width_N * height_N}
    return {**columns, **sizes}


def thresholds(rules: Mapping[str, Any], median_area_px: float) -> list[Threshold]:
    """The lines of the rules that are on; rules: by name, None where off."""
    lines = [
        Threshold(panel, rule, float(rules[rule][setting]), setting.endswith("below"))
        for (rule, setting), panel in _THRESHOLDS.items()
        if rules.get(rule)
    ]
    if odd_size := rules.get("odd_size"):
        factor = odd_size["area_factor"]
        lines.append(Threshold("area", "odd_size", median_area_px / factor, below=True))
        lines.append(Threshold("area", "odd_size", median_area_px * factor, below=False))
    return lines


@styled
def draw_measures(measure_NM: NDArray[np.floating], rules: Mapping[str, Any]) -> Figure:
    """A histogram for every measure of the images that could be read, float (N, M), with the lines of the rules.

    Where all images have one size a note gives it, in place of the panels of sizes.
    """
    if not len(measure_NM):
        return note_figure("Measures", "There are none: no image could be read.")
    values = panel_values(measure_NM)
    lines = thresholds(rules, float(np.median(values["area"])))
    size_N2 = measure_NM[:, [MEASURES.index("width"), MEASURES.index("height")]].astype(int)
    one_size = bool((size_N2 == size_N2[0]).all())
    note = f"All images are {size_N2[0, 0]} × {size_N2[0, 1]} px." if one_size else ""
    panels = [panel for panel in LABELS if not (one_size and panel in SIZES)]
    rows = -(-len(panels) // 2)
    figure = new_figure(12, 1 + 2.9 * rows, f"Measures of {len(measure_NM):,} images, with the rules' thresholds", note)
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _draw_panel(axes, panel, values[panel], [line for line in lines if line.panel == panel])
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


def bin_edges(panel: str, value_N: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ends of the bins; for sizes far apart and for sharpness evenly spaced in the logarithm (of 1 + it)."""
    low, high = float(value_N.min()), float(value_N.max())
    if low == high:  # one bar, as wide as the panel's values reach where that is known
        return (
            np.linspace(0, max(1.0, high), 51) if panel == "saturation" else np.array([max(0.0, low - 0.5), high + 0.5])
        )
    if panel == "mean":
        return np.linspace(0, 255, 52)
    if panel == "sharpness":
        inner = np.expm1(np.linspace(np.log1p(low), np.log1p(high), BINS + 1)[1:-1])
        return np.concatenate([[low], inner, [high]])  # not rounded, so that both ends are in a bin
    if panel in SIZES and high > 10 * low > 0:
        return np.geomspace(low, high, BINS + 1)
    return np.linspace(low, high, BINS + 1)


def _draw_panel(axes: Axes, panel: str, value_N: NDArray[np.float64], lines: list[Threshold]) -> None:
    edges = bin_edges(panel, value_N)
    count_B = np.histogram(value_N, edges)[0]
    axes.stairs(count_B, edges, fill=True, color="#9db8cc")
    _scale_values(axes, panel, edges)
    _scale_counts(axes, count_B)
    for place, line in enumerate(lines):
        beyond = f"{spoken(line.rule)}: {line.count(value_N):,} {'below' if line.below else 'above'} {_number(line.at)}"
        axes.axvline(line.at, color=COLOURS[1 + 2 * place], linestyle="--", linewidth=1.8, label=beyond)
    if lines:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=2, fontsize=9.5)
    axes.set_xlabel(LABELS[panel])
    axes.set_ylabel("images")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _scale_values(axes: Axes, panel: str, edges: NDArray[np.float64]) -> None:
    if panel == "sharpness":
        axes.set_xscale("symlog", linthresh=1)
    elif panel in SIZES and edges[-1] > 10 * edges[0] > 0:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    if axes.get_xscale() == "linear":
        axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))  # no measure is negative
    axes.xaxis.set_major_formatter(lambda value, _: _number(value))


def _scale_counts(axes: Axes, count_B: NDArray[np.integer]) -> None:
    """Logarithmic where counts are far apart, so that a single image can be seen."""
    if count_B.max() > 10 * count_B[count_B > 0].min():
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(_GROUND, 2 * count_B.max())
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, 1.1 * count_B.max())
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
