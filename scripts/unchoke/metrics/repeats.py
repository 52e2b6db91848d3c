"""Pure: the mean of a figure over random splits of the same images, with an interval that minds their overlap."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from unchoke.metrics.intervals import UNKNOWN, Interval, student


class OverSplits(NamedTuple):
    """A figure, or the difference of two, over R random splits; NaN where it cannot be known."""

    mean: float
    sd: float
    interval: Interval
    """Of the expected figure of a head that is trained on as many new images."""
    p_value: float
    """Two-sided, for a mean of 0: of differences."""


def over_splits(value_R: NDArray[np.floating], test_per_train: float, least: float, most: float) -> OverSplits:
    """Corrected resampled t of Nadeau and Bengio 2003 ("Inference for the generalization error", Machine Learning 52,
    239, section 3): variance s² (1 / R + n_test / n_train) with R - 1 degrees of freedom.

    The splits share images, so that s² / R, which Student's t takes, is too small. test_per_train: n_test / n_train.
    least, most: that the figure can be. Without spread the interval is not known.
    """
    mean, sd = (float(value_R.mean()), math.nan) if len(value_R) else (math.nan, math.nan)
    if len(value_R) > 1:
        sd = float(value_R.std(ddof=1))
    error = sd * math.sqrt(1 / max(len(value_R), 1) + test_per_train)
    if not error > 1e-12:  # of rounding alone
        return OverSplits(mean, sd, UNKNOWN, math.nan)
    reach = student(len(value_R) - 1) * error
    p_value = 2 * float(t.sf(abs(mean) / error, len(value_R) - 1))
    return OverSplits(mean, sd, Interval(max(mean - reach, least), min(mean + reach, most)), p_value)
