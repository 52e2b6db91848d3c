"""Figures of several labels an image, against scikit-learn and the jackknife."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from unchoke.metrics.influences import scored
from unchoke.metrics.label_sets import METRICS, evaluate, thresholds
from unchoke.names import MULTILABEL

COARSE = arrays(np.float32, (12, 3), elements=st.integers(-3, 3).map(float))  # ties are common
TRUE = arrays(np.bool_, (12, 3))
CUT = np.array([0.5, -0.5, 1.0])


def by_scikit_learn(name: str, true_NK: np.ndarray, logits_NK: np.ndarray) -> float:
    some, every = true_NK.any(0), true_NK.all(0)
    predicted_NK = logits_NK >= CUT
    told = some | predicted_NK.any(0)
    found = {
        "average_precision": lambda: average_precision_score(true_NK[:, some], logits_NK[:, some], average="macro"),
        "auroc": lambda: roc_auc_score(true_NK[:, some & ~every], logits_NK[:, some & ~every], average="macro"),
        "macro_f1": lambda: np.mean([f1_score(true_NK[:, k], predicted_NK[:, k]) for k in np.flatnonzero(told)]),
        "micro_f1": lambda: f1_score(true_NK, predicted_NK, average="micro"),
    }
    return float(found[name]())


@pytest.mark.parametrize("name", METRICS)
@given(true_NK=TRUE, logits_NK=COARSE)
def test_figures_are_scikit_learns_over_the_labels_that_have_one(
    name: str, true_NK: np.ndarray, logits_NK: np.ndarray
) -> None:
    assume((true_NK.any(0) & ~true_NK.all(0)).any())
    found = scored(name, true_NK, logits_NK[None], [CUT], MULTILABEL).value_R[0]
    assert found == pytest.approx(by_scikit_learn(name, true_NK, logits_NK), abs=1e-12)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "auroc"])
@given(true_NK=TRUE, logits_NK=COARSE)
def test_terms_are_the_jackknifes(name: str, true_NK: np.ndarray, logits_NK: np.ndarray) -> None:
    """Also where an image is the only one with a label, whose figure then counts no more."""
    assume(true_NK.any(1).sum() > 1)
    term_N = scored(name, true_NK, logits_NK[None], [CUT], MULTILABEL).term_RN[0]
    without = [(np.delete(true_NK, row, 0), np.delete(logits_NK, row, 0)) for row in range(12)]
    left_out_N = np.array([by_scikit_learn(name, *rest) for rest in without])
    np.testing.assert_allclose(term_N, (left_out_N.mean() - left_out_N) * 11 / 12, atol=1e-12)


@given(true_NK=TRUE, logits_NK=COARSE)
def test_a_threshold_gives_the_best_f1_that_scikit_learn_finds(true_NK: np.ndarray, logits_NK: np.ndarray) -> None:
    for k, threshold in enumerate(thresholds(true_NK, logits_NK)):
        if not true_NK[:, k].any():
            assert threshold == 0
            continue
        precision, recall, _ = precision_recall_curve(true_NK[:, k], logits_NK[:, k])
        best = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12))
        assert f1_score(true_NK[:, k], logits_NK[:, k] >= threshold) == pytest.approx(best)


def test_labels_of_one_side_are_left_out_and_what_is_left_undefined_is_nan() -> None:
    true_NK = np.array([[1, 0], [1, 0], [1, 0]], bool)
    found = evaluate(true_NK, np.ones((1, 3, 2), np.float32), None, [[0.0, 2.0]])
    assert found["average_precision"].value == found["macro_f1"].value == 1
    assert np.isnan([found["auroc"].value, found["auroc"].low, found["auroc"].high]).all()
    nothing = evaluate(np.zeros((3, 2), bool), np.ones((1, 3, 2), np.float32), None, [[2.0, 2.0]])
    assert all(np.isnan(figure.value) for figure in nothing.values())


def drawn(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true_NK = rng.random((images, 4)) < (0.5, 0.3, 0.2, 0.1)
    return true_NK, (true_NK * 1.5 + rng.normal(0, 1, true_NK.shape)).astype(np.float32)


@pytest.mark.parametrize("name", METRICS)
def test_intervals_hold_the_figure_of_many_images_as_often_as_they_say(name: str) -> None:
    """100 samples of 80 images: 0.95 of them hold it, less what chance takes (0.88 has a probability below 0.005)."""
    truth = evaluate(*_one(drawn(50_000, 0)))[name].value
    found = [evaluate(*_one(drawn(80, seed)))[name] for seed in range(1, 101)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.88


def _one(sample: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, None, list[list[float]]]:
    return sample[0], sample[1][None], None, [[0.75] * 4]


def test_groups_are_the_units() -> None:
    true_NK, logits_NK = drawn(40, 0)
    group_N = np.array([f"g{place // 4}" for place in range(40)], object)
    assert {one.units for one in evaluate(true_NK, logits_NK[None], group_N, [[0.0] * 4]).values()} == {10}
