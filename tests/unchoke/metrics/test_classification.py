"""Figures of merit agree with scikit-learn."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from unchoke.metrics import classification

CLASSES = 5
pairs = st.lists(st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn remarks on predicted classes that do not occur
        yield


@given(pairs)
def test_figures_of_counts_are_those_of_scikit_learn(pairs):
    label_N, predicted_N = np.array(pairs).T
    counts = classification.class_counts(label_N, predicted_N, CLASSES)
    assert classification.accuracy(counts) == pytest.approx(sklearn_metrics.accuracy_score(label_N, predicted_N))
    expected = sklearn_metrics.balanced_accuracy_score(label_N, predicted_N)
    assert classification.balanced_accuracy(counts) == pytest.approx(expected)
    assert classification.macro_f1(counts) == pytest.approx(
        sklearn_metrics.f1_score(label_N, predicted_N, average="macro")
    )


@given(pairs)
def test_recalls_and_the_confusion_matrix_are_those_of_scikit_learn(pairs):
    label_N, predicted_N = np.array(pairs).T
    found = classification.recalls(classification.class_counts(label_N, predicted_N, CLASSES))
    expected = sklearn_metrics.recall_score(label_N, predicted_N, labels=range(CLASSES), average=None, zero_division=0)
    np.testing.assert_allclose(found, expected)
    expected = sklearn_metrics.confusion_matrix(label_N, predicted_N, labels=range(CLASSES))
    np.testing.assert_array_equal(classification.confusion_matrix(label_N, predicted_N, CLASSES), expected)


def test_balanced_accuracy_gives_a_rare_class_the_weight_of_a_common_one():
    counts = classification.class_counts(np.array([0] * 9 + [1]), np.zeros(10, int), 2)
    assert (classification.accuracy(counts), classification.balanced_accuracy(counts)) == (0.9, 0.5)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("steps", [4, 1000], ids=["many equal scores", "few equal scores"])
def test_auroc_is_scikit_learns(classes: int, steps: int) -> None:
    rng = np.random.default_rng(classes * steps)
    label_N = np.r_[np.arange(classes), rng.integers(0, classes, 200)]
    scores_NC = np.round(
        classification.softmax(rng.normal(size=(len(label_N), classes)) + 2 * np.eye(classes)[label_N]) * steps
    )
    probability_NC = (scores_NC + 1e-9) / (scores_NC + 1e-9).sum(1, keepdims=True)
    area, terms_N = classification.auroc(label_N, probability_NC)
    scores = probability_NC[:, 1] if classes == 2 else probability_NC
    assert area == pytest.approx(sklearn_metrics.roc_auc_score(label_N, scores, multi_class="ovr"))
    assert terms_N.sum() == pytest.approx(0, abs=1e-9)


def test_the_terms_of_auroc_foretell_what_a_little_more_weight_does() -> None:
    rng = np.random.default_rng(0)
    label_N, score_N = rng.integers(0, 2, 80), rng.normal(size=80)
    score_N += label_N
    area, terms_N = classification.auroc(label_N, np.stack([-score_N, score_N], 1))
    for row in range(0, 80, 7):
        weight_N = np.ones(80)
        weight_N[row] += 1e-4
        found = sklearn_metrics.roc_auc_score(label_N, score_N, sample_weight=weight_N)
        assert (found - area) / 1e-4 == pytest.approx(terms_N[row], rel=1e-2, abs=1e-6)


def test_auroc_of_one_class_is_not_known() -> None:
    area, terms_N = classification.auroc(np.zeros(4, int), np.full((4, 2), 0.5))
    assert np.isnan(area) and np.isnan(terms_N).all()


def test_calibration_error_by_hand() -> None:
    # Three rows of confidence 0.9, two of them right, and one of 0.6 that is wrong: (|2 - 2.7| + |0 - 0.6|) / 4.
    probability_NC = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    label_N = np.array([0, 1, 1, 1])
    bins, gaps = (
        classification.calibration_bins(probability_NC),
        classification.calibration_gaps(label_N, probability_NC),
    )
    sums = np.bincount(bins, gaps, minlength=classification.CALIBRATION_BINS)
    assert classification.expected_calibration_error(sums, 4) == pytest.approx((0.7 + 0.6) / 4)


@given(st.floats(0, 1, width=32))
def test_every_confidence_has_a_bin_that_holds_it(confidence):
    (place,) = classification.calibration_bins(np.array([[confidence, 0.0]]))
    assert place / 15 - 1e-6 <= confidence <= (place + 1) / 15 + 1e-6


def test_softmax_of_large_logits_is_finite() -> None:
    np.testing.assert_allclose(classification.softmax(np.array([[1e4, 0.0], [-1e4, -1e4]])), [[1, 0], [0.5, 0.5]])


def test_auroc_of_two_classes_among_three_is_the_mean_of_both() -> None:
    rng = np.random.default_rng(0)
    label_N = rng.integers(0, 2, 100)
    probability_NC = classification.softmax(rng.normal(size=(100, 3)) + 1.2 * np.eye(3)[label_N])
    each = [sklearn_metrics.roc_auc_score(label_N == place, probability_NC[:, place]) for place in (0, 1)]
    assert classification.auroc(label_N, probability_NC)[0] == pytest.approx(np.mean(each))
