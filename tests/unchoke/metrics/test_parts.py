"""Figures of classes and of groups against scikit-learn, SciPy, and cases worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest
from scipy.stats import t as student_t
from sklearn.metrics import f1_score, precision_recall_fscore_support

from unchoke.metrics.parts import class_figures, group_figures

CLASSES = 4
NAMES = ("precision", "recall", "f1")


def wilson(hits, of):
    found = binomtest(hits, of).proportion_ci(method="wilson")
    return found.low, found.high


def guesses(rows=200, replicates=1, seed=0):
    rng = np.random.default_rng(seed)
    label_N = rng.integers(0, CLASSES, rows)
    right_RN = rng.random((replicates, rows)) < 0.7
    return label_N, np.where(right_RN, label_N, rng.integers(0, CLASSES, (replicates, rows)))


def ends(figure):
    return figure.low, figure.high


pairs = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60)


@given(pairs)
def test_the_figures_of_a_class_are_scikit_learns_where_they_can_be_known(pairs):
    label_N, predicted_N = np.array(pairs).T
    expected = precision_recall_fscore_support(
        label_N, predicted_N, labels=range(CLASSES), zero_division=np.nan, beta=1
    )
    found = class_figures(label_N, predicted_N[None], CLASSES)
    for name, values in zip(NAMES, expected[:3], strict=True):
        np.testing.assert_allclose([getattr(one, name).value for one in found], values)
    assert [one.images for one in found] == expected[3].tolist()


@given(pairs)
def test_shares_of_independent_images_have_wilsons_interval_of_scipy(pairs):
    label_N, predicted_N = np.array(pairs).T
    for number, found in enumerate(class_figures(label_N, predicted_N[None], CLASSES)):
        hits = int(((label_N == number) & (predicted_N == number)).sum())
        for figure, of_N in ((found.precision, predicted_N == number), (found.recall, label_N == number)):
            assert figure.units == of_N.sum()
            if figure.units:
                assert ends(figure) == pytest.approx(wilson(hits, int(of_N.sum())), abs=1e-9)
        either = int(((label_N == number) | (predicted_N == number)).sum())
        if either:  # F1 = 2 J / (1 + J), where J is the share of TP among TP + FP + FN
            expected = [2 * j / (1 + j) for j in wilson(hits, either)]
            assert ends(found.f1) == pytest.approx(expected, abs=1e-9) and found.f1.units == either


def test_what_cannot_be_known_is_nan():
    """Class 2 is never predicted, class 3 is not there, class 1 is there and predicted, but never rightly."""
    found = class_figures(np.array([0, 0, 1, 2]), np.array([[0, 1, 3, 0]]), 5)
    assert math.isnan(found[2].precision.value) and math.isnan(found[2].precision.low)
    assert (found[2].precision.units, found[2].predicting) == (0, 0)
    assert math.isnan(found[3].recall.value) and (found[3].precision.value, found[3].f1.value) == (0, 0)
    assert (found[1].precision.value, found[1].recall.value, found[1].f1.value) == (0, 0, 0)
    assert all(math.isnan(getattr(found[4], name).value) for name in NAMES)


def test_a_replicate_that_never_predicts_the_class_has_no_part_in_its_precision():
    label_N = np.array([0, 0, 1, 1])
    found = class_figures(label_N, np.array([[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 1, 0]]), 2)[1]
    assert (found.precision.value, found.predicting) == (pytest.approx((2 / 3 + 1) / 2), 2)
    assert found.recall.value == pytest.approx((1 + 0 + 0.5) / 3)
    assert found.f1.value == pytest.approx((0.8 + 0 + 2 / 3) / 3)


def test_replicates_widen_the_interval_of_a_class():
    """By hand: Wilson's half-widths, and Student's t of three replicates, added as independent ones."""
    label_N, predicted_RN = guesses(replicates=3)
    found = class_figures(label_N, predicted_RN, CLASSES)[1].recall
    of_class = label_N == 1
    value_R = (predicted_RN[:, of_class] == 1).mean(1)
    low, high = wilson_of_share(value_R.mean(), of_class.sum())
    half_width = student_t.ppf(0.975, 2) * value_R.std(ddof=1) / math.sqrt(3)
    middle = value_R.mean()
    expected = middle - math.hypot(middle - low, half_width), middle + math.hypot(high - middle, half_width)
    assert ends(found) == pytest.approx(expected) and found.sd == pytest.approx(value_R.std(ddof=1))


def wilson_of_share(p, n, z=1.959963984540054):
    middle, half_width = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (middle - half_width) / (1 + z**2 / n), (middle + half_width) / (1 + z**2 / n)


def test_groups_are_the_units_by_the_jackknife_of_scikit_learns_f1():
    label_N, predicted_RN = guesses(60)
    group_N = np.array([f"patient {row % 12}" for row in range(60)], object)
    found = class_figures(label_N, predicted_RN, CLASSES, group_N)[2]

    def f1(kept_N):
        return f1_score(label_N[kept_N], predicted_RN[0, kept_N], labels=[2], average=None)[0]

    touched_N = (label_N == 2) | (predicted_RN[0] == 2)
    names = sorted(set(group_N[touched_N]))
    left_out = np.array([f1(group_N != name) for name in names])
    units = len(names)
    deviation = math.sqrt((units - 1) / units * ((left_out - left_out.mean()) ** 2).sum())
    half_width = student_t.ppf(0.975, units - 1) * deviation / (found.f1.value * (1 - found.f1.value))
    assert found.f1.units == units
    assert ends(found.f1) == pytest.approx(expit(logit(found.f1.value) + np.array([-half_width, half_width])))


def test_units_are_the_groups_that_have_the_class():
    """Four patients, two of which have class 1; of the one who alone was taken for class 0 nothing tells of others."""
    label_N, predicted_N = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([1, 1, 0, 0, 1, 1, 1, 0])
    group_N = np.array([*"aabb", *"ccdd"], object)
    found = class_figures(label_N, np.where(group_N == "d", 1, predicted_N)[None], 2, group_N)
    assert (found[1].recall.units, found[0].precision.units) == (2, 1)
    assert found[0].precision.value == 1 and math.isnan(found[0].precision.low)


def test_images_of_one_group_that_differ_in_class_are_alone_in_it():
    """A patient has one image of each class: the recall of a class is a share of independent images."""
    label_N, predicted_RN = np.tile([0, 1], 30), np.zeros((1, 60), int)
    group_N = np.repeat(np.arange(30), 2).astype(str).astype(object)
    assert ends(class_figures(label_N, predicted_RN, 2, group_N)[0].recall) == pytest.approx(wilson(30, 30))


def test_groups_have_their_accuracy_with_wilsons_interval():
    right_RN = np.array([[1, 0, 1, 1, 1, 0], [1, 0, 0, 1, 1, 1]], bool)
    group_N = np.array(["b", "b", "a", "a", "a", ""], object)
    found = group_figures(right_RN, group_N)
    assert {name: (figure.value, figure.units) for name, figure in found.items()} == {
        "a": (pytest.approx(5 / 6), 3),
        "b": (0.5, 2),
    }
    assert ends(found["b"]) == pytest.approx(wilson(1, 2))
    assert found["a"].sd == pytest.approx(np.std([1, 2 / 3], ddof=1))
    assert ends(group_figures(right_RN[:1], group_N)["a"]) == pytest.approx(wilson(3, 3))


def test_without_groups_there_are_no_figures_of_groups():
    assert group_figures(np.ones((1, 3), bool), np.full(3, "", object)) == {}
