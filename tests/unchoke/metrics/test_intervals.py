"""Intervals agree with SciPy and with hand-worked cases, and hold what they are of."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest, t

from unchoke.metrics import intervals
from unchoke.metrics.intervals import Interval


@given(units=st.integers(1, 5000), data=st.data())
def test_shares_have_the_intervals_of_scipy(units: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, units))
    for ours, method in ((intervals.clopper_pearson, "exact"), (intervals.wilson, "wilson")):
        expected = binomtest(right, units).proportion_ci(method=method)
        assert ours(right / units, units) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.floats(0, 1), st.integers(1, 300), st.integers(1, 300))
def test_an_area_has_an_interval_that_holds_it_and_is_the_same_from_the_other_side(
    area: float, positives: int, negatives: int
) -> None:
    found = intervals.mann_whitney(area, positives, negatives)
    assert 0 <= found.low <= area <= found.high <= 1 and found.low < found.high
    other = intervals.mann_whitney(1 - area, positives, negatives)
    assert (1 - other.high, 1 - other.low) == pytest.approx(found, abs=1e-6)


def test_the_ends_of_an_areas_interval_are_where_the_score_test_says_so() -> None:
    """(area - true)² = z² V(true) with the variance of Hanley and McNeil 1982, written out."""
    area, m, n, z = 0.8, 4, 196, 1.959963984540054
    for true in intervals.mann_whitney(area, m, n):
        q1, q2, extra = true / (2 - true), 2 * true**2 / (1 + true), (m + n) / 2 - 1
        variance = (true * (1 - true) + extra * (q1 - true**2) + extra * (q2 - true**2)) / (m * n)
        assert (area - true) ** 2 == pytest.approx(z**2 * variance)


def test_a_jackknife_of_means_is_the_variance_of_a_mean() -> None:
    value_N = np.random.default_rng(0).random(12)
    left_out_N = (value_N.sum() - value_N) / 11
    found = intervals.jackknifed(value_N.mean(), left_out_N)
    mean, error = value_N.mean(), value_N.std(ddof=1) / math.sqrt(12)
    half_width = t.ppf(0.975, 11) * error / (mean * (1 - mean))
    assert found == pytest.approx(expit(logit(mean) + np.array([-half_width, half_width])))
    assert intervals.jackknifed(0.5, np.array([0.4, 0.5, np.nan])) == pytest.approx((math.nan, math.nan), nan_ok=True)


def test_without_any_spread_the_interval_is_that_of_as_many_shares() -> None:
    assert intervals.jackknifed(1.0, np.ones(20)) == pytest.approx(intervals.clopper_pearson(1.0, 20))
    assert intervals.on_logits(0.7, 0.0, 9) == pytest.approx(intervals.clopper_pearson(0.7, 9))


def test_a_mean_of_two_shares_by_hand() -> None:
    found = intervals.of_mean([0.8, 0.6], [Interval(0.7, 0.85), Interval(0.2, 0.9)])
    assert found == pytest.approx((0.7 - math.hypot(0.1, 0.4) / 2, 0.7 + math.hypot(0.05, 0.3) / 2))


def test_groups_vary_as_a_whole() -> None:
    influence_N, place_N = np.array([0.1, 0.2, -0.3, 0.0]), np.array([0, 0, 1, 2])
    assert intervals.unit_variance(influence_N, place_N) == pytest.approx(3 / 2 * (0.09 + 0.09))
    assert math.isnan(intervals.unit_variance(influence_N, np.zeros(4, int)))
