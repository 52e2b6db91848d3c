"""Figures of predicted numbers, against scikit-learn, SciPy and the jackknife."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr, t
from sklearn.metrics import mean_absolute_error, r2_score

from unchoke.metrics.influences import scored
from unchoke.metrics.numbers import METRICS, evaluate
from unchoke.names import REGRESSION

COARSE = arrays(np.float64, 12, elements=st.integers(-4, 4).map(float))  # ties are common
EXPECTED = {
    "mae": mean_absolute_error,
    "r2": r2_score,
    "spearman": lambda true_N, predicted_N: spearmanr(true_N, predicted_N).statistic,
}


def some(count: int, seed: int = 0, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (N,), and predictions of two replicates (2, N, 1)."""
    rng = np.random.default_rng(seed)
    true_N = rng.normal(5, 2, count)
    return true_N, true_N[None, :, None] + rng.normal(0, noise, (2, count, 1))


@pytest.mark.parametrize("name", METRICS)
@given(true_N=COARSE, predicted_N=COARSE)
def test_figures_are_those_of_scikit_learn_and_scipy(name: str, true_N: np.ndarray, predicted_N: np.ndarray) -> None:
    assume(np.ptp(true_N) > 0 and np.ptp(predicted_N) > 0)
    found = scored(name, true_N, predicted_N[None, :, None], [None], REGRESSION).value_R[0]
    assert found == pytest.approx(EXPECTED[name](true_N, predicted_N), abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
@given(true_N=COARSE, predicted_N=COARSE, image=st.integers(0, 11))
def test_an_image_adds_what_its_weight_adds(name: str, true_N: np.ndarray, predicted_N: np.ndarray, image: int) -> None:
    """Images a thousand times over, and one of them once more: its weight is larger by a thousandth."""
    assume(np.ptp(true_N) > 0 and np.ptp(predicted_N) > 0)
    term_N = scored(name, true_N, predicted_N[None, :, None], [None], REGRESSION).term_RN[0]
    rows = np.r_[np.repeat(np.arange(12), 1000), image]
    more = EXPECTED[name](true_N[rows], predicted_N[rows]) - EXPECTED[name](true_N, predicted_N)
    assert term_N.sum() == pytest.approx(0, abs=1e-10)
    assert more * 1000 == pytest.approx(term_N[image], rel=0.02, abs=2e-2)


def test_the_interval_of_the_error_is_students_on_logarithms() -> None:
    true_N, predicted_RN1 = some(40)
    error_N = np.abs(predicted_RN1[0, :, 0] - true_N)
    found = evaluate(true_N, predicted_RN1[:1])["mae"]
    factor = np.exp(t.ppf(0.975, 39) * error_N.std(ddof=1) / np.sqrt(40) / error_N.mean())
    assert (found.value, found.low, found.high) == pytest.approx(
        (error_N.mean(), error_N.mean() / factor, error_N.mean() * factor)
    )


@pytest.mark.parametrize("name", METRICS)
def test_intervals_hold_the_figure_of_many_images_as_often_as_they_say(name: str) -> None:
    """200 samples of 60 images: 0.95 of them hold it, less what chance takes (0.90 has a probability below 0.003)."""
    true_N, predicted_RN1 = some(200_000)
    truth = EXPECTED[name](true_N, predicted_RN1[0, :, 0])
    samples = [
        evaluate(*(part[..., :60] if part.ndim == 1 else part[:1] for part in some(60, seed))) for seed in range(1, 201)
    ]
    held = [found[name].low <= truth <= found[name].high for found in samples]
    assert np.mean(held) >= 0.90


def test_groups_are_the_units_and_replicates_widen() -> None:
    true_N, predicted_RN1 = some(40)
    group_N = np.array([f"g{place // 4}" for place in range(40)], object)
    alone, grouped = evaluate(true_N, predicted_RN1[:1]), evaluate(true_N, predicted_RN1, group_N)
    assert (alone["r2"].units, grouped["r2"].units) == (40, 10)
    assert grouped["mae"].sd == pytest.approx(np.abs(predicted_RN1[..., 0] - true_N).mean(1).std(ddof=1))
    assert np.isnan(alone["mae"].sd)


def test_what_a_constant_target_leaves_undefined_is_nan_and_not_0() -> None:
    found = evaluate(np.full(5, 2.0), np.arange(5.0)[None, :, None])
    assert found["mae"].value == pytest.approx(np.abs(np.arange(5) - 2).mean())
    assert all(np.isnan([found[name].value, found[name].low, found[name].high]).all() for name in ("r2", "spearman"))


def test_r2_below_0_and_a_reversed_order_have_intervals_within_their_bounds() -> None:
    true_N = np.arange(10.0)
    reversed_N = 9 - true_N + np.tile([0.2, -0.2], 5)
    worse = evaluate(true_N, reversed_N[None, :, None] * np.ones((2, 1, 1)))
    assert worse["r2"].low < worse["r2"].value == pytest.approx(r2_score(true_N, reversed_N))
    assert worse["r2"].value < worse["r2"].high < 1
    assert worse["spearman"].value == -1 == worse["spearman"].low < worse["spearman"].high < 0
