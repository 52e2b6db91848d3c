"""The rule ``mislabelled`` on clouds of points whose wrong labels are known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_features import clouds, rows_of

from unchoke.config import heads
from unchoke.config.inspection import Mislabelled
from unchoke.inspection.mislabelled import Examined, find_mislabelled, flip_labels, flips_found

CPU = torch.device("cpu")
CLASSES = ["ape", "bee", "cow"]
HEADS = {"ridge": heads.Ridge(kind="ridge").model_dump(), "logistic": heads.Logistic(kind="logistic").model_dump()}


def examined(y_N: np.ndarray, x_ND: np.ndarray) -> Examined:
    val = rows_of(*clouds([20, 20, 20], 8, 5, 0.3))
    may_go_N = np.arange(len(y_N)) % 2 == 0
    return Examined(rows_of(x_ND, y_N), val, CLASSES, [f"{row}.png" for row in range(len(y_N))], may_go_N)


@pytest.mark.parametrize("kind", HEADS)
def test_only_flipped_labels_of_clouds_apart_are_found_and_named(kind: str) -> None:
    x_ND, true_N = clouds([60, 60, 60], 8, 0, 0.5)
    y_N = flip_labels(true_N, 0.08, 3, 7)
    head = HEADS[kind] | {"choose_by": "log_loss"}
    found, summary = find_mislabelled(examined(y_N, x_ND), Mislabelled().model_dump(), head, CPU)
    wrong = np.flatnonzero(y_N != true_N)
    assert set(found.id_F) <= set(wrong) and found.id_F.tolist() == sorted(found.id_F)
    assert len(found.id_F) > 0.7 * len(wrong) == 0.7 * 14
    wrong = found.id_F
    assert found.suggested_F is not None and found.nearest_F is not None
    assert found.suggested_F.tolist() == [CLASSES[place] for place in true_N[wrong]]
    assert found.may_go_F.tolist() == [row % 2 == 0 for row in wrong]
    assert (found.cluster_F == -1).all() and (found.other_F == -1).all() and (found.value_F > 0).all()
    x_N = x_ND.astype(np.float64) / np.linalg.norm(x_ND.astype(np.float64), axis=1, keepdims=True)
    for row, near in zip(wrong, found.nearest_F, strict=True):
        agreeing = np.flatnonzero(y_N == true_N[row])
        expected = agreeing[np.argsort(-(x_N[agreeing] @ x_N[row]))][:5]
        assert near == " ".join(map(str, expected))
    assert summary["wrong_share"] == pytest.approx(14 / 180, abs=0.02)
    assert summary["estimate"]["named"] == 1
    assert min(summary["estimate"]["precision"], summary["estimate"]["recall"]) > 0.6


def test_the_same_seed_finds_the_same() -> None:
    x_ND, y_N = clouds([40, 40, 40], 8, 0, 2.0)
    rule, head = Mislabelled().model_dump(), HEADS["ridge"] | {"choose_by": "log_loss"}
    (one, said), (other, said_again) = (find_mislabelled(examined(y_N, x_ND), rule, head, CPU) for _ in range(2))
    assert said == said_again
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert "estimate" not in find_mislabelled(examined(y_N, x_ND), rule | {"flipped": None}, head, CPU)[1]


@given(st.integers(2, 60), st.integers(2, 5), st.floats(0.01, 0.5), st.integers(0, 99))
def test_as_many_labels_are_flipped_as_are_asked_for(n: int, n_classes: int, share: float, seed: int) -> None:
    y_N = np.random.default_rng(seed).integers(0, n_classes, n)
    flipped_N = flip_labels(y_N, share, n_classes, seed)
    assert (flipped_N != y_N).sum() == max(1, round(share * n))
    assert flipped_N.min() >= 0 and flipped_N.max() < n_classes


def test_precision_leaves_out_what_was_doubtful_before() -> None:
    """Flipped: 0, 1, 2. Found: 0, 1, 5, 6, of which 5 was found among the given labels as well; 1 is named wrongly."""
    y_N = np.zeros(8, int)
    flipped_N = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    suggested_N = np.array([0, 2, -1, -1, -1, 1, 1, -1])
    said = flips_found(np.array([0, 1, 5, 6]), np.array([5]), y_N, flipped_N, suggested_N)
    assert said == {
        "flipped": 3,
        "found": 3,
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "named": 0.5,
    }
