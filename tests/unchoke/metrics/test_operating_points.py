"""Sensitivity at a fixed specificity against scikit-learn, NumPy, SciPy, and cases worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, roc_curve

from unchoke.metrics.operating_points import margins, operating_point, threshold_at


def sample(rows, seed, share=0.3):
    rng = np.random.default_rng(seed)
    positive_N = rng.random(rows) < share
    return positive_N, (rng.normal(size=rows) + 1.5 * positive_N)[None]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_the_threshold_is_the_least_that_keeps_the_specificity(values, specificity):
    margin_N = np.array(values, float)
    found = threshold_at(specificity, margin_N)
    assert (margin_N <= found).mean() >= specificity - 1e-9
    assert found == margin_N.min() or (margin_N < found).mean() < specificity


@pytest.mark.parametrize(("specificity", "images", "below"), [(0.95, 20, 19), (0.07, 100, 7), (0.95, 5, 5)])
def test_a_share_that_is_a_whole_number_of_images_is_no_image_more(specificity, images, below):
    margin_N = np.arange(images, dtype=float)
    assert threshold_at(specificity, margin_N) == below - 1
    if specificity != 0.07:  # which NumPy takes for 8 of 100
        assert threshold_at(specificity, margin_N) == np.quantile(margin_N, specificity, method="inverted_cdf")


def test_on_val_no_threshold_of_scikit_learns_curve_is_more_sensitive():
    positive_N, margin_RN = sample(400, 0)
    found = operating_point(0.9, (positive_N, margin_RN), (positive_N, margin_RN))
    false_positives, sensitivity, _ = roc_curve(positive_N, margin_RN[0], drop_intermediate=False)
    assert found.sensitivity.value == pytest.approx(sensitivity[false_positives <= 0.1].max())
    assert found.specificity.value >= 0.9


def test_both_figures_are_of_test_at_the_threshold_of_val():
    val, test = sample(300, 1), sample(500, 2)
    found = operating_point(0.95, val, test)
    threshold = np.quantile(val[1][0][~val[0]], 0.95, method="inverted_cdf")
    (tn, fp), (fn, tp) = confusion_matrix(test[0], test[1][0] > threshold)
    assert found.thresholds == [threshold] and found.unknown == ""
    for figure, hits, of in ((found.sensitivity, tp, tp + fn), (found.specificity, tn, tn + fp)):
        expected = binomtest(int(hits), int(of)).proportion_ci(method="wilson")
        assert (figure.value, figure.units) == (pytest.approx(hits / of), of)
        assert (figure.low, figure.high) == pytest.approx((expected.low, expected.high))


def test_each_replicate_has_a_threshold_and_figures_are_their_means():
    (positive_N, one), (_, two) = sample(300, 1), sample(300, 1)
    found = operating_point(0.8, (positive_N, np.r_[one, 3 * two]), (positive_N, np.r_[one, 3 * two]))
    alone = operating_point(0.8, (positive_N, one), (positive_N, one))
    assert found.thresholds[1] == pytest.approx(3 * found.thresholds[0])
    assert found.sensitivity.value == alone.sensitivity.value and found.sensitivity.sd == 0


def test_groups_are_the_units_of_test():
    val, (positive_N, margin_RN) = sample(300, 1), sample(40, 2, 0.5)
    copied = np.repeat(positive_N, 10), np.repeat(margin_RN, 10, 1)
    groups = np.repeat(np.arange(40), 10).astype(str).astype(object)
    apart, grouped = operating_point(0.8, val, copied), operating_point(0.8, val, copied, groups)
    assert apart.sensitivity.units == 10 * positive_N.sum() and grouped.sensitivity.units == positive_N.sum()
    assert grouped.sensitivity.value == apart.sensitivity.value
    width = {name: one.sensitivity.high - one.sensitivity.low for name, one in (("a", apart), ("g", grouped))}
    assert width["g"] > 2.5 * width["a"]


POSITIVE, NEGATIVE = np.ones(3, bool), np.zeros(3, bool)
BOTH = np.array([True, False, True])


@pytest.mark.parametrize(
    ("val", "test", "margin", "sensitive", "specific", "why"),
    [
        (POSITIVE, BOTH, 1.0, False, False, "val has no negative image, so there is no threshold"),
        (NEGATIVE, BOTH, 1.0, True, True, ""),
        (BOTH, NEGATIVE, 1.0, False, True, "test has no positive image"),
        (BOTH, POSITIVE, 1.0, True, False, "test has no negative image"),
        (BOTH, BOTH, math.nan, False, False, "logits are not all finite"),
    ],
)
def test_what_cannot_be_known_is_nan_and_says_why(val, test, margin, sensitive, specific, why):
    margin_RN = np.full((1, 3), margin)
    found = operating_point(0.95, (val, margin_RN), (test, margin_RN))
    assert (math.isfinite(found.sensitivity.value), math.isfinite(found.specificity.value)) == (sensitive, specific)
    assert found.unknown == why


def test_margins_tell_apart_what_probabilities_round_to_one():
    logits_RNC = np.array([[[0, 50], [0, 60], [40, 0]]], np.float32)
    assert margins(logits_RNC, 1).tolist() == [[50, 60, -40]] and margins(logits_RNC, 0).tolist() == [[-50, -60, 40]]
