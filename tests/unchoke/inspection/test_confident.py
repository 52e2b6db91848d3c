"""Confident learning beside loops over images and classes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.inspection import confident
from unchoke.inspection.confident import (
    confident_classes,
    confident_joint,
    doubts,
    images_by_class,
    self_confidence,
    wrong_share,
)

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of 2 to 5 classes, some of them without an image, and labels; ties included."""
    rng = np.random.default_rng(seed)
    n, c = int(rng.integers(1, 30)), int(rng.integers(2, 6))
    p_NC = rng.integers(0, 4, (n, c)) + 0.25
    return p_NC / p_NC.sum(1, keepdims=True), rng.integers(0, c, n)


def loops(p_NC: np.ndarray, y_N: np.ndarray) -> list[int]:
    """The confident class of each image, -1 for none, as the paper says it."""
    n_classes = p_NC.shape[1]
    of_class = [[p_NC[i, c] for i in range(len(y_N)) if y_N[i] == c] for c in range(n_classes)]
    threshold = [float(np.mean(p)) if p else float("inf") for p in of_class]
    found = []
    for p_C in p_NC:
        reached = [c for c in range(n_classes) if p_C[c] >= threshold[c]]
        found.append(max(reached, key=lambda c: (p_C[c], -c)) if reached else -1)
    return found


@given(SEEDS)
def test_the_joint_and_the_doubts_are_those_of_loops(seed: int) -> None:
    p_NC, y_N = drawn(seed)
    p_NC = np.round(p_NC, 2)  # so that sums in another order move no comparison but of equals
    confident = loops(p_NC, y_N)
    near = np.abs(p_NC - self_confidence(p_NC, y_N)).min() < 1e-12
    if near:
        return
    assert confident_classes(p_NC, y_N).tolist() == confident
    joint = np.zeros((p_NC.shape[1],) * 2, int)
    for given_class, found in zip(y_N, confident, strict=True):
        if found >= 0:
            joint[given_class, found] += 1
    assert confident_joint(p_NC, y_N).tolist() == joint.tolist()
    said = doubts(p_NC, y_N)
    others = [[c for c in sorted(set(y_N.tolist())) if c != label] for label in y_N]
    best = [max(seen, key=lambda c: p_C[c]) if seen else -1 for p_C, seen in zip(p_NC, others, strict=True)]
    for row, (other, label) in enumerate(zip(best, y_N, strict=True)):
        against = p_NC[row, other] if other >= 0 else 1e-300
        assert said.margin_N[row] == pytest.approx(np.log(against / p_NC[row, label]))
    listed = listed_by_loops(said.margin_N, joint)
    assert said.above(0).tolist() == listed
    for row, found in enumerate(said.suggested_N):
        assert found == (best[row] if row in listed else -1)


def test_memory_holds_a_few_numbers_a_row_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    p_NC, y_N = rng.dirichlet(np.ones(64), 20_000), rng.integers(0, 64, 20_000)
    whole = doubts(p_NC, y_N)
    monkeypatch.setattr(confident, "_BLOCK", 512)
    tracemalloc.start()
    said = doubts(p_NC, y_N)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * len(y_N) < p_NC.nbytes / 6
    assert all(np.array_equal(one, other) for one, other in zip(said, whole, strict=True))


def listed_by_loops(margin_N: np.ndarray, joint: np.ndarray) -> list[int]:
    """As many as are confidently of another class; the largest margin first, of equals the first."""
    wrong = sum(int(joint[i, j]) for i in range(len(joint)) for j in range(len(joint)) if i != j)
    ranked = sorted(range(len(margin_N)), key=lambda row: (-margin_N[row], row))
    return [row for row in ranked[:wrong] if margin_N[row] > 0]


@given(SEEDS)
def test_names_of_classes_and_the_order_of_images_do_not_matter(seed: int) -> None:
    p_NC, y_N = drawn(seed)
    p_NC = p_NC + np.random.default_rng(seed).random(p_NC.shape) * 1e-3
    rng = np.random.default_rng(seed)
    rows, classes = rng.permutation(len(y_N)), rng.permutation(p_NC.shape[1])
    place = np.argsort(classes)
    said, turned = doubts(p_NC, y_N), doubts(p_NC[rows][:, classes], place[y_N[rows]])
    expected = np.where(said.suggested_N[rows] >= 0, place[said.suggested_N[rows]], -1)
    near = np.abs(p_NC - self_confidence(p_NC, y_N)).min() < 1e-12
    distinct = len(np.unique(said.margin_N)) == len(y_N)
    if distinct and not near:
        assert turned.suggested_N.tolist() == expected.tolist()
        assert turned.margin_N == pytest.approx(said.margin_N[rows])


def test_a_case_by_hand() -> None:
    """Thresholds 0.63 and 0.6: image 2 has label 0 and is confidently 1; image 5 reaches no threshold."""
    p_1 = np.array([0.1, 0.1, 0.9, 0.9, 0.9, 0.45, 0.15])
    y_N = np.array([0, 0, 0, 1, 1, 1, 1])
    p_NC = np.stack([1 - p_1, p_1], 1)
    assert self_confidence(p_NC, y_N) == pytest.approx([1.9 / 3, 2.4 / 4])
    said = doubts(p_NC, y_N)
    assert said.suggested_N.tolist() == [-1, -1, 1, -1, -1, -1, 0]
    assert said.margin_N[[2, 6]] == pytest.approx([np.log(9), np.log(0.85 / 0.15)])
    assert said.above(0).tolist() == [2, 6]
    assert said.above(2).tolist() == [2]
    assert confident_joint(p_NC, y_N).tolist() == [[2, 1], [1, 2]]
    assert images_by_class(p_NC, y_N) == pytest.approx(np.array([[2, 1], [4 / 3, 8 / 3]]))
    assert wrong_share(p_NC, y_N) == pytest.approx((3 * 1 / 3 + 4 * 1 / 3) / 7)


def test_a_class_without_images_is_never_suggested() -> None:
    p_NC = np.array([[0.1, 0.2, 0.7], [0.2, 0.1, 0.7]])
    assert doubts(p_NC, np.array([0, 1])).suggested_N.max() < 2
