"""Folds keep units whole and classes even, whatever the order of the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.inspection.folds import deal_folds, refuse_few, refuse_unseen

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, alone: float) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 80))
    units = np.array([f"unit {number}" for number in rng.integers(0, 12, n)], object)
    return rng.integers(0, 3, n), np.where(rng.random(n) < alone, "", units), [f"{row}.png" for row in range(n)]


@given(SEEDS, st.integers(2, 6))
def test_units_are_whole_and_the_order_does_not_matter(seed: int, folds: int) -> None:
    y_N, unit_N, names = drawn(seed, 0.5)
    fold_N = deal_folds(y_N, unit_N, names, folds, 3)
    assert fold_N.min() >= 0 and fold_N.max() < folds
    for unit in set(unit_N) - {""}:
        assert len(set(fold_N[unit_N == unit])) == 1
    order = np.random.default_rng(seed).permutation(len(y_N))
    again = deal_folds(y_N[order], unit_N[order], [names[row] for row in order], folds, 3)
    assert again.tolist() == fold_N[order].tolist()


@given(SEEDS, st.integers(2, 6))
def test_images_alone_are_dealt_evenly_class_by_class(seed: int, folds: int) -> None:
    y_N, unit_N, names = drawn(seed, 1.1)
    fold_N = deal_folds(y_N, unit_N, names, folds, 0)
    for label in set(y_N):
        counts = np.bincount(fold_N[y_N == label], minlength=folds)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("labels", "units", "problem"),
    [
        ([0] * 6, [""] * 6, "there is one class"),
        ([0] * 6 + [1] * 4, [""] * 10, "A class has fewer images than there are folds"),
        ([0] * 6 + [1] * 6, [""] * 6 + ["a"] * 6, "All images of a class are in one fold"),
    ],
)
def test_labels_that_folds_cannot_judge_are_named(labels: list[int], units: list[str], problem: str) -> None:
    classes, y_N = ["cat", "dog"][: max(labels) + 1], np.array(labels)
    with pytest.raises(UnchokeError, match=problem) as caught:
        refuse_few(y_N, classes, 5)
        fold_N = deal_folds(y_N, np.array(units, object), [str(row) for row in range(len(labels))], 5, 0)
        refuse_unseen(y_N, fold_N, classes)
    assert classes[-1] in str(caught.value)
