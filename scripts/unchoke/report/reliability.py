"""The reliability diagram: whether a head that says 90 % is right nine times in ten."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unchoke.metrics.classification import CALIBRATION_BINS, calibration_bins, calibration_gaps
from unchoke.report.style import COLOURS, GREY, new_figure, styled


@dataclass(frozen=True)
class Raw:
    """A head before calibration, and what calibrated it."""

    probability_RNC: NDArray[np.float64]
    temperatures: Sequence[float]
    """Of each replicate."""
    ece: float


@styled
def draw_reliability(
    label_N: NDArray[np.integer],
    probability_RNC: NDArray[np.floating],
    ece: dict[str, float | None],
    raw: Raw,
    title: str,
) -> Figure:
    """Share that is right over the confidence, in the 15 bins of the calibration error, and how full the bins are.

    The predictions of all replicates count. probability_RNC: calibrated. ece: of them, with value, low and high, as in
    the leaderboard.
    """
    confidence_B, right_B, share_B = binned(label_N, probability_RNC)
    several = (
        f" The predictions of {len(probability_RNC)} seeds or draws count together." if len(probability_RNC) > 1 else ""
    )
    title = f"{title}: reliability on test, {_temperature_text(raw.temperatures)}"
    figure = new_figure(7.2, 6.6, title, f"{_ece_text(ece)}; {raw.ece:.3f} before calibration.{several}")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    middle_B, width = (np.arange(CALIBRATION_BINS) + 0.5) / CALIBRATION_BINS, 1 / CALIBRATION_BINS
    upper.plot([0, 1], [0, 1], "--", color=GREY, label="as confident as right")
    upper.bar(middle_B, right_B, width * 0.9, color=COLOURS[5], label="share that is right")
    upper.vlines(confidence_B, right_B, confidence_B, color=COLOURS[1], linewidth=3, label="gap to the confidence")
    upper.plot(confidence_B, confidence_B, "o", color=COLOURS[1], markersize=4)
    raw_confidence_B, raw_right_B, raw_share_B = binned(label_N, raw.probability_RNC)
    full_B = raw_share_B > 0
    upper.plot(
        raw_confidence_B[full_B], raw_right_B[full_B], ".-", color=GREY, linewidth=0.8, label="before calibration"
    )
    upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")
    upper.legend(loc="upper left")
    lower.bar(middle_B, share_B, width * 0.9, color=GREY)
    lower.set(xlabel="confidence: probability of the predicted class", ylabel="share of images")
    return figure


def binned(label_N: NDArray[np.integer], probability_RNC: NDArray[np.floating]) -> tuple[NDArray[np.float64], ...]:
    """Of each bin: mean confidence, share that is right (both NaN where empty), share of all rows; each (B,)."""
    bins = np.concatenate([calibration_bins(probability_NC) for probability_NC in probability_RNC])
    gaps = np.concatenate([calibration_gaps(label_N, probability_NC) for probability_NC in probability_RNC])
    confidence = probability_RNC.max(-1).ravel()
    rows_B, confidence_B, gap_B = (
        np.bincount(bins, weights, CALIBRATION_BINS) for weights in (np.ones(len(bins)), confidence, gaps)
    )
    with np.errstate(invalid="ignore"):
        return confidence_B / rows_B, (confidence_B + gap_B) / rows_B, rows_B / len(bins)


def _temperature_text(temperatures: Sequence[float]) -> str:
    least, most = f"{min(temperatures):.3g}", f"{max(temperatures):.3g}"
    return f"temperature {least}" if least == most else f"temperatures {least} to {most}"


def _ece_text(ece: dict[str, float | None]) -> str:
    interval = "" if None in (ece["low"], ece["high"]) else f" (95 % interval {ece['low']:.3f} to {ece['high']:.3f})"
    return f"Expected calibration error {ece['value']:.3f}{interval}"
