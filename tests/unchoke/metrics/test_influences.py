"""Figures by which heads are chosen, ranked and compared, and what each image adds to them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from unchoke.metrics.classification import average_precision, softmax
from unchoke.metrics.influences import METRICS, figure_of, scored

COARSE = arrays(np.float64, (12, 3), elements=st.integers(-4, 4).map(float))  # ties are common
LABELS = arrays(np.int64, 12, elements=st.integers(0, 2))


def by_scikit_learn(name: str, label_N: np.ndarray, logits_NC: np.ndarray) -> float:
    predicted_N, probability_NC = logits_NC.argmax(1), softmax(logits_NC)
    there = np.unique(label_N)
    one_hot_NC = np.eye(3, dtype=int)[label_N][:, there]
    found = {
        "accuracy": lambda: sk.accuracy_score(label_N, predicted_N),
        "balanced_accuracy": lambda: sk.recall_score(label_N, predicted_N, labels=there, average="macro"),
        "macro_f1": lambda: sk.f1_score(label_N, predicted_N, average="macro"),
        "auroc": lambda: sk.roc_auc_score(one_hot_NC, probability_NC[:, there], average="macro"),
        "average_precision": lambda: sk.average_precision_score(one_hot_NC, probability_NC[:, there], average="macro"),
        "log_loss": lambda: sk.log_loss(label_N, probability_NC, labels=[0, 1, 2]),
    }
    return float(found[name]())


@pytest.mark.parametrize("name", METRICS)
@given(label_N=LABELS, logits_NC=COARSE)
def test_figures_are_scikit_learns(name: str, label_N: np.ndarray, logits_NC: np.ndarray) -> None:
    assume(len(np.unique(label_N)) > 1)
    found = scored(name, label_N, logits_NC[None], [1.0])
    assert found.value_R[0] == pytest.approx(by_scikit_learn(name, label_N, logits_NC), abs=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "average_precision"])
@given(label_N=LABELS, logits_NC=COARSE, image=st.integers(0, 11))
def test_an_image_adds_what_its_weight_adds(name: str, label_N: np.ndarray, logits_NC: np.ndarray, image: int) -> None:
    """Images a thousand times over, and one of them once more: its weight is larger by a thousandth."""
    assume(len(np.unique(label_N)) > 1)
    term_N = scored(name, label_N, logits_NC[None], [1.0]).term_RN[0]
    rows = np.r_[np.repeat(np.arange(12), 1000), image]
    more = by_scikit_learn(name, label_N[rows], logits_NC[rows])
    assert term_N.sum() == pytest.approx(0, abs=1e-12)
    assert (more - by_scikit_learn(name, label_N, logits_NC)) * 1000 == pytest.approx(term_N[image], abs=5e-3)


@given(label_N=LABELS, logits_NC=COARSE)
def test_terms_of_the_average_precision_are_the_jackknifes(label_N: np.ndarray, logits_NC: np.ndarray) -> None:
    counts = np.bincount(label_N)
    assume(len(counts[counts > 0]) > 1 and counts[counts > 0].min() > 1)
    _, term_N = average_precision(label_N, softmax(logits_NC))
    left_out_N = np.array(
        [
            by_scikit_learn("average_precision", np.delete(label_N, row), np.delete(logits_NC, row, 0))
            for row in range(12)
        ]
    )
    assert term_N == pytest.approx((left_out_N.mean() - left_out_N) * 11 / 12, abs=1e-12)


def test_the_log_loss_of_a_choice_is_that_at_the_temperature_that_suits() -> None:
    rng = np.random.default_rng(0)
    label_N, logits_NC = rng.integers(0, 3, 200), rng.normal(size=(200, 3))
    logits_NC[np.arange(200), label_N] += 1
    grid = [sk.log_loss(label_N, softmax(logits_NC / t)) for t in np.geomspace(0.2, 5, 400)]
    found = {scale: figure_of("log_loss", label_N, logits_NC * scale) for scale in (1, 10)}
    assert found[1] == pytest.approx(min(grid), abs=1e-5) == found[10]


def test_average_precision_of_two_classes_is_that_of_the_second() -> None:
    rng = np.random.default_rng(0)
    label_N, logits_NC = (rng.random(400) < 0.05).astype(int), rng.normal(size=(400, 2))
    expected = sk.average_precision_score(label_N, softmax(logits_NC)[:, 1])
    assert scored("average_precision", label_N, logits_NC[None], [1.0]).value_R[0] == pytest.approx(expected)


def test_a_class_of_one_image_has_no_spread() -> None:
    _, term_N = average_precision(np.array([0, 0, 0, 1]), np.full((4, 2), 0.5))
    assert np.isnan(term_N).all()
