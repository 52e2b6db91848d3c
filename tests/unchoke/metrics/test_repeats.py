"""The corrected resampled t, against hand-worked values and SciPy."""

import math

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from unchoke.metrics.intervals import UNKNOWN
from unchoke.metrics.repeats import over_splits


def test_the_interval_is_that_of_the_formula():
    # mean 0.8, s² = (0.1² + 0.1²) / 2 = 0.01; variance 0.01 (1/3 + 1/4) = 0.07/12; t of 2 degrees: 4.302653
    found = over_splits(np.array([0.7, 0.8, 0.9]), 0.25, 0.0, 1.0)
    assert (found.mean, found.sd) == (pytest.approx(0.8), pytest.approx(0.1))
    assert found.interval.low == pytest.approx(0.8 - 4.302653 * math.sqrt(0.07 / 12), abs=1e-6)
    assert found.interval.high == 1.0  # 1.13 is more than the figure can be
    assert over_splits(np.array([0.7, 0.8, 0.9]), 0.25, 0.0, math.inf).interval.high == pytest.approx(
        1.128621, abs=1e-6
    )


def test_without_overlap_it_is_students_t():
    value_R = np.random.default_rng(0).normal(0.02, 0.05, 7)
    found, expected = over_splits(value_R, 0.0, -1.0, 1.0), ttest_1samp(value_R, 0.0)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_the_p_value_is_of_the_same_t_as_the_interval():
    value_R = np.array([0.05, 0.01, 0.04, 0.03])
    error = value_R.std(ddof=1) * math.sqrt(1 / 4 + 0.2)
    found = over_splits(value_R, 0.2, -1.0, 1.0)
    assert found.p_value == pytest.approx(2 * t.sf(value_R.mean() / error, 3))
    assert (found.p_value < 0.05) == (found.interval.low > 0)


@pytest.mark.parametrize("values", [[], [0.9], [0.9, 0.9, 0.9]], ids=len)
def test_what_has_no_spread_has_no_interval(values):
    found = over_splits(np.array(values), 0.2, 0.0, 1.0)
    assert found.interval == pytest.approx(UNKNOWN, nan_ok=True)
    assert math.isnan(found.p_value)
    assert found.mean == pytest.approx(0.9 if values else math.nan, nan_ok=True)
