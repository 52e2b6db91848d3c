"""p-values of many comparisons at once."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.experiments.comparisons import holm


def test_the_adjusted_values_are_those_worked_out_by_hand() -> None:
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, and none below the one before; NaN does not count."""
    assert holm([0.01, 0.04, math.nan, 0.03, 0.005]) == pytest.approx([0.03, 0.06, math.nan, 0.06, 0.02], nan_ok=True)
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_rejected_are_those_of_the_sequential_procedure(p_values: list[float]) -> None:
    """Holm's own words: from the smallest on, reject while p <= 0.05 / (those that are left)."""
    rejected = set()
    for left, place in zip(range(len(p_values), 0, -1), np.argsort(p_values, kind="stable").tolist(), strict=True):
        if p_values[place] * left >= 0.05:
            break
        rejected.add(place)
    assert {place for place, p in enumerate(holm(p_values)) if p < 0.05} == rejected
