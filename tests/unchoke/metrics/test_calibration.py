"""Temperatures and losses against a grid, scikit-learn and answers worked by hand."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from unchoke.metrics.calibration import (
    LEAST,
    MOST,
    brier_scores,
    fit_temperature,
    fit_temperatures,
    log_losses,
    probabilities,
)


def scaled(truth: float, rows: int = 2000, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits / truth), and the logits as float32."""
    rng = np.random.default_rng(seed)
    logits_NC = (truth * 2 * rng.normal(size=(rows, classes))).astype(np.float32)
    draw_N = rng.random((rows, 1))
    return (softmax(logits_NC / truth, 1).cumsum(1) < draw_N).sum(1).clip(0, classes - 1), logits_NC


@pytest.mark.parametrize("truth", [0.05, 0.5, 1.0, 7.0])
def test_the_temperature_is_the_best_of_a_grid(truth: float) -> None:
    label_N, logits_NC = scaled(truth)
    found, note = fit_temperature(label_N, logits_NC)
    grid = np.geomspace(LEAST, MOST, 1001)
    chosen_N = np.arange(len(label_N)), label_N
    losses = [-np.log(softmax(logits_NC.astype(float) / t, 1)[chosen_N] + 1e-300).mean() for t in grid]
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=grid[1] / grid[0] - 1)
    assert found == pytest.approx(truth, rel=0.1) and note == ""
    assert log_losses(label_N, logits_NC, found).mean() <= min(losses) + 1e-12


def test_a_val_without_a_mistake_gives_the_loss_of_the_rule_of_succession() -> None:
    label_N = np.arange(30) % 3
    for scale in (0.1, 1.0, 30.0):
        found, note = fit_temperature(label_N, (scale * np.eye(3)[label_N]).astype(np.float32))
        # All margins equal: 1 / (1 + 2 exp(-scale / T)) = 31/32, hence T = scale / log 62.
        assert found == pytest.approx(scale / np.log(62), rel=1e-5)
        assert "separated perfectly" in note and f"{found:.4g}" in note


def test_a_tie_is_no_mistake() -> None:
    """One of 31 costs log 2 at any T; the others' loss is then 31 log(32 / 31) / 30 or so each."""
    label_N = np.arange(31) % 2
    logits_NC = np.eye(2)[label_N]
    logits_NC[0] = 0
    found, note = fit_temperature(label_N, logits_NC)
    loss = 31 / 30 * np.log1p(1 / 32)
    assert found == pytest.approx(-1 / np.log(np.expm1(loss)), rel=1e-5) and "separated perfectly" in note


def test_where_all_is_wrong_the_bound_is_taken_and_said() -> None:
    label_N = np.arange(40) % 2
    found, note = fit_temperature(label_N, -np.eye(2)[label_N])
    assert found == pytest.approx(MOST, rel=1e-3) and "beyond 0.01 to 100" in note


def test_logits_that_are_not_finite_have_temperature_1() -> None:
    assert fit_temperature(np.array([0, 1]), np.array([[np.nan, 0], [0, 1]])) == (
        1.0,
        "logits on val are not all finite: the temperature is 1",
    )


def test_every_replicate_has_its_own_temperature_and_no_prediction_moves() -> None:
    label_N, one_NC = scaled(0.5)
    logits_RNC = np.stack([one_NC, 4 * one_NC, np.eye(4, dtype=np.float32)[label_N]])
    found, notes = fit_temperatures(label_N, logits_RNC)
    assert found[1] == pytest.approx(4 * found[0], rel=1e-4)
    (note,) = notes
    assert note.endswith(", replicate 2")
    probability_RNC = probabilities(logits_RNC, found)
    np.testing.assert_allclose(probability_RNC[1], softmax(logits_RNC[1].astype(float) / found[1], 1), rtol=1e-12)
    np.testing.assert_array_equal(probability_RNC.argmax(-1), logits_RNC.argmax(-1))


def test_log_loss_is_that_of_scikit_learn_and_finite_where_a_probability_is_0() -> None:
    label_N, logits_NC = scaled(1.0, rows=200)
    assert log_losses(label_N, logits_NC).mean() == pytest.approx(
        log_loss(label_N, softmax(logits_NC.astype(float), 1)), rel=1e-9
    )
    np.testing.assert_allclose(log_losses(np.array([1]), np.array([[5000.0, 0.0]]), 2.0), [2500])


def test_the_brier_score_sums_over_classes() -> None:
    """By hand: (0.7 - 1)² + 0.2² + 0.1² = 0.14; 0.5² + (0.5 - 1)² = 0.5; surely wrong 2; surely right 0."""
    probability_NC = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(brier_scores(np.array([0, 1, 2, 2]), probability_NC), [0.14, 0.5, 2, 0])
