"""Ridge regression against scikit-learn's, on indicators of the classes."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from small_features import clouds, rows_of

from unchoke.config.heads import Ridge
from unchoke.heads.kinds import ridge
from unchoke.heads.rows import Rows
from unchoke.heads.train import Fitted

CPU = torch.device("cpu")
COUNTS, WIDTH = [40, 25, 8], 6


def sets(seed: int, offset: float = 0) -> tuple[Rows, Rows]:
    train, val = (clouds(counts, WIDTH, seed + part) for part, counts in ((0, COUNTS), (1000, [20, 20, 20])))
    return tuple(rows_of((x_ND + offset).astype(np.float16), y_N) for x_ND, y_N in (train, val))  # type: ignore[return-value]


def fit(train: Rows, val: Rows, **given: Any) -> tuple[Fitted, dict[str, Any]]:
    head = Ridge(kind="ridge", **{"choose_by": "accuracy", **given}).model_dump()
    return ridge.fit(train, val, 3, head, CPU), head


def sklearns(train: Rows, rows: Rows, penalty: float, standardize: bool, balanced: bool) -> np.ndarray:
    """Fitted indicators, float64 (N, C)."""
    x_ND, more_ND = (part.x_ND.numpy().astype(np.float64) for part in (train, rows))
    if standardize:
        scaler = StandardScaler().fit(x_ND)
        x_ND, more_ND = scaler.transform(x_ND), scaler.transform(more_ND)
    y_N = train.labels().numpy()
    weight_N = compute_sample_weight("balanced", y_N) if balanced else None
    return SklearnRidge(penalty, solver="cholesky").fit(x_ND, np.eye(3)[y_N], weight_N).predict(more_ND)  # type: ignore[no-any-return]


def indicators(fitted: Fitted, rows: Rows) -> np.ndarray:
    return ridge.indicators(fitted.replicates[0], rows.x_ND, CPU).numpy()


@settings(max_examples=15)
@given(
    seed=st.integers(0, 500),
    penalty=st.sampled_from([1e-2, 1.0, 30.0, 1e4]),
    standardize=st.booleans(),
    balanced=st.booleans(),
)
def test_it_is_scikit_learns(seed: int, penalty: float, standardize: bool, balanced: bool) -> None:
    train, val = sets(seed)
    weights = "balanced" if balanced else "none"
    fitted, head = fit(train, val, penalty=[penalty], standardize=standardize, class_weights=weights)
    expected = sklearns(train, val, penalty, standardize, balanced)
    np.testing.assert_allclose(indicators(fitted, val), expected, atol=2e-5)
    logits = ridge.predict(fitted.replicates[0], head, val.x_ND, CPU)
    assert fitted.history["val_score"] == [pytest.approx(accuracy_score(val.y_N, expected.argmax(1)), abs=0.02)]
    shown = np.maximum(expected, 1e-3) * np.exp(1e-3 * expected)
    np.testing.assert_allclose(logits.exp(), shown, atol=1e-4)


def test_features_far_from_0_are_as_well_solved() -> None:
    """What is squared in float32 is far larger than what is left of it once the mean is taken off."""
    train, val = sets(3, offset=100)
    fitted, _ = fit(train, val, penalty=[1.0], standardize=False)
    np.testing.assert_allclose(indicators(fitted, val), sklearns(train, val, 1.0, False, False), atol=2e-4)


def test_blocks_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    train, val = sets(4)
    whole = fit(train, val, penalty=[1.0], class_weights="balanced")[0]
    monkeypatch.setattr(ridge, "_BLOCK", 7)
    parts = fit(train, val, penalty=[1.0], class_weights="balanced")[0]
    np.testing.assert_allclose(indicators(parts, val), indicators(whole, val), atol=1e-5)


@pytest.mark.parametrize(
    ("figure", "expected"), [("accuracy", accuracy_score), ("balanced_accuracy", balanced_accuracy_score)]
)
def test_the_penalty_is_chosen_on_val_and_of_equals_the_largest(figure: str, expected: Any) -> None:
    train, val = sets(5)[0], rows_of(*clouds([40, 10, 10], WIDTH, 77))
    penalties = [1e5, 0.1, 10.0, 1e3]
    fitted, _ = fit(train, val, penalty=penalties, choose_by=figure)
    scores = {penalty: expected(val.y_N, sklearns(train, val, penalty, True, False).argmax(1)) for penalty in penalties}
    assert fitted.history["penalty"] == sorted(penalties, reverse=True)
    assert fitted.history["val_score"] == pytest.approx([scores[penalty] for penalty in sorted(penalties)[::-1]])
    assert fitted.chosen["penalty"] == max(p for p in penalties if scores[p] == max(scores.values()))


def test_equal_penalties_by_score_give_the_largest() -> None:
    fitted, _ = fit(*sets(6), penalty=[1e-3, 1e-2])
    assert fitted.history["val_score"][0] == fitted.history["val_score"][1]
    assert fitted.chosen == {"penalty": 1e-2}


@given(st.lists(st.floats(-3, 3, width=32), min_size=2, max_size=6))
def test_logits_rank_as_the_indicators_do(values: list[float]) -> None:
    """Also below 0.001, where the logarithm has no say."""
    indicator = torch.tensor(values)[None]
    tensors = {"mean": torch.zeros(1), "scale": torch.ones(1), "weight": torch.zeros(len(values), 1)}
    logits = ridge.predict(tensors | {"bias": indicator[0]}, {}, torch.zeros(1, 1), CPU)
    spread = indicator.max() - indicator
    assert float(spread[0, int(logits.argmax())]) < 1e-3


def test_more_features_than_images_are_solved() -> None:
    x_ND, y_N = clouds([3, 2, 2], 40, 1)
    train, val = rows_of(x_ND, y_N), rows_of(*clouds([5, 5, 5], 40, 2))
    fitted, _ = fit(train, val, penalty=[0.1])
    np.testing.assert_allclose(indicators(fitted, val), sklearns(train, val, 0.1, True, False), atol=1e-3)


def by_svd(train: Rows, rows: Rows, penalty: float, standardize: bool) -> np.ndarray:
    """Fitted indicators, from the singular values of the centred features in float64."""
    x_ND, more_ND = (part.x_ND.numpy().astype(np.float64) for part in (train, rows))
    if standardize:
        scaler = StandardScaler().fit(x_ND)
        x_ND, more_ND = scaler.transform(x_ND), scaler.transform(more_ND)
    mean_D, indicator_NC = x_ND.mean(0), np.eye(3)[train.y_N.numpy()]
    left_NK, values_K, right_KD = np.linalg.svd(x_ND - mean_D, full_matrices=False)
    share_C = indicator_NC.mean(0)
    rotated_KC = (values_K / (values_K**2 + penalty))[:, None] * (left_NK.T @ (indicator_NC - share_C))
    return (more_ND - mean_D) @ (right_KD.T @ rotated_KC) + share_C


@pytest.mark.parametrize("width", [30, 200], ids=["tall", "wide"])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("penalty", [1e-12, 1e-8, 1e-4, 1e-2, 1e5])
def test_ill_conditioned_features_are_solved(
    width: int, standardize: bool, penalty: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deviations from 1 to 1e-8 along some directions: the condition number of the Gram matrix is 1e16."""
    monkeypatch.setattr(ridge, "_BLOCK", 16)
    rng = np.random.default_rng(0)
    turn_DD = np.linalg.qr(rng.normal(size=(width, width)))[0]
    x_ND = ((rng.normal(size=(250, width)) * np.logspace(0, -8, width)) @ turn_DD).astype(np.float32)
    y_N = rng.integers(0, 3, 250)
    train, val = rows_of(x_ND[:150], y_N[:150]), rows_of(x_ND[150:], y_N[150:])
    fitted, _ = fit(train, val, penalty=[penalty], standardize=standardize)
    np.testing.assert_allclose(indicators(fitted, val), by_svd(train, val, penalty, standardize), atol=1e-6)


def test_threads_do_not_move_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "_BLOCK", 7)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(fit(*sets(7), penalty=[1.0], class_weights="balanced")[0].replicates[0])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0][name], other[name]) for other in found[1:] for name in other)
