"""Pure: 95 % intervals of figures between 0 and 1; each figure has a method with the right coverage.

What varies is the units: images, or groups of images (patients, slides) that are not independent of each other. The
number of units, not that of images, says how much is known. `benchmarks/interval_coverage.py` prints how often each
method covers the truth.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import beta, norm, t

LEVEL = 0.95
FEW_UNITS = 20
"""With fewer units an interval is uncertain, and pages say so."""

_Z = float(norm.ppf((1 + LEVEL) / 2))
_EDGE = 1e-12


class Interval(NamedTuple):
    """Both ends; NaN where they cannot be known."""

    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan)


def clopper_pearson(share: float, units: float) -> Interval:
    """Of a share of independent units, exact: it covers at least LEVEL (Clopper and Pearson 1934)."""
    right = share * units
    low = beta.ppf((1 - LEVEL) / 2, right, units - right + 1) if right > 0 else 0.0
    high = beta.ppf((1 + LEVEL) / 2, right + 1, units - right) if right < units else 1.0
    return Interval(float(low), float(high))


def wilson(share: float, units: float) -> Interval:
    """Of a share of independent units (Wilson 1927): close to LEVEL on average, and narrower than the exact one."""
    shrunk = 1 + _Z**2 / units
    middle = (share + _Z**2 / (2 * units)) / shrunk
    half_width = _Z / shrunk * math.sqrt(share * (1 - share) / units + _Z**2 / (4 * units**2))
    return Interval(max(middle - half_width, 0.0), min(middle + half_width, 1.0))


def mann_whitney(area: float, positives: int, negatives: int) -> Interval:
    """Of an area under the ROC curve of independent images: method 5 of Newcombe 2006 (Statistics in Medicine 25, 559).

    It inverts the score test with the variance of Hanley and McNeil 1982, so that an area of 1, or of one positive
    image, has an interval too.
    """
    half = (positives + negatives) / 2 - 1

    def beyond(true: float) -> float:
        spread = 1 + half * ((1 - true) / (2 - true) + true / (1 + true))
        return (area - true) ** 2 - _Z**2 * true * (1 - true) * spread / (positives * negatives)

    low = brentq(beyond, _EDGE, min(area, 1 - _EDGE)) if area > 0 and beyond(_EDGE) > 0 else 0.0
    high = brentq(beyond, max(area, _EDGE), 1 - _EDGE) if area < 1 and beyond(1 - _EDGE) > 0 else 1.0
    return Interval(float(low), float(high))


def jackknifed(value: float, left_out_U: NDArray[np.floating]) -> Interval:
    """Of any smooth figure, from its values without each of U units (Tukey 1958), by ``on_logits``.

    Unknown where the figure is not known without one of them: nothing then tells how such units differ.
    """
    if len(left_out_U) < 2 or not np.isfinite(left_out_U).all():
        return UNKNOWN
    return on_logits(value, (len(left_out_U) - 1) * float(left_out_U.var()), len(left_out_U))


def on_logits(value: float, variance: float, units: int) -> Interval:
    """From the variance of a figure over U units: Student's t with U - 1 degrees of freedom on the scale of logits.

    Where no spread was seen, as at 0 and 1, the exact interval of a share of as many units stands in its place.
    """
    if units < 2 or not math.isfinite(value):
        return UNKNOWN
    if variance <= 0 or not 0 < value < 1:
        return clopper_pearson(min(max(value, 0.0), 1.0), units)
    half_width = student(units - 1) * math.sqrt(variance) / (value * (1 - value))
    return Interval(float(expit(logit(value) - half_width)), float(expit(logit(value) + half_width)))


def on_logs(value: float, variance: float, units: int) -> Interval:
    """The same for a figure above 0 that has no upper bound, on the scale of logarithms; unknown without spread."""
    if units < 2 or not (math.isfinite(value) and value > 0 and variance > (_EDGE * value) ** 2):
        return UNKNOWN
    factor = math.exp(min(student(units - 1) * math.sqrt(variance) / value, 700.0))  # exp(710) is too large for a float
    return Interval(value / factor, value * factor)


def of_mean(values: Sequence[float], parts: Sequence[Interval]) -> Interval:
    """Of the mean of independent figures with intervals of their own: MOVER (Zou and Donner 2008)."""
    mean, count = sum(values) / len(values), len(values)
    below = math.hypot(*(value - part.low for value, part in zip(values, parts, strict=True))) / count
    above = math.hypot(*(part.high - value for value, part in zip(values, parts, strict=True))) / count
    return Interval(max(mean - below, 0.0), min(mean + above, 1.0))


def with_replicates(images: Interval, value_R: NDArray[np.floating], most: float = 1.0, least: float = 0.0) -> Interval:
    """The interval of the mean over R replicates (seeds, few-shot draws), which vary as the images do.

    images: of the mean, were the replicates all there are. Both half-widths add up as independent ones do (MOVER,
    Zou and Donner 2008); that of the replicates is Student's t with R - 1 degrees of freedom. most, least: that the
    figure can be.
    """
    if len(value_R) < 2:
        return images
    mean, deviation = float(value_R.mean()), float(value_R.std(ddof=1))
    half_width = student(len(value_R) - 1) * deviation / math.sqrt(len(value_R))
    low, high = mean - math.hypot(mean - images.low, half_width), mean + math.hypot(images.high - mean, half_width)
    return Interval(max(low, least), min(high, most))


def wider(one: Interval, other: Interval) -> Interval:
    """What holds both intervals; an unknown one does not count."""
    return Interval(float(np.fmin(one.low, other.low)), float(np.fmax(one.high, other.high)))


@cache  # SciPy takes 0.1 ms for it, and there may be an interval for each of many groups
def student(degrees: float) -> float:
    """Student's t between whose ± lies LEVEL."""
    return float(t.ppf((1 + LEVEL) / 2, degrees))


def unit_variance(influence_N: NDArray[np.floating], place_N: NDArray[np.integer]) -> float:
    """Variance of a figure from the first-order influence of each image, summed over the images of each unit.

    place_N: number of the unit of each image, from 0; NaN where there is one.
    """
    sum_U = np.bincount(place_N, influence_N)
    units = len(sum_U)
    return math.nan if units < 2 else float(units / (units - 1) * (sum_U**2).sum())
