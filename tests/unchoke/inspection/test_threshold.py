"""The proposed threshold: Youden's index over all cuts, by a loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.inspection.threshold import histogram, propose

COSINES = st.lists(st.integers(-10, 20), min_size=1, max_size=30).map(lambda values: np.array(values) / 20)


@given(COSINES, COSINES)
def test_no_other_cut_separates_better(same: np.ndarray, others: np.ndarray) -> None:
    found = propose(same, others)
    best = max((same >= cut).mean() - (others >= cut).mean() for cut in np.linspace(-0.6, 1.1, 341))
    assert found.same_found == pytest.approx((same >= found.threshold).mean())
    assert found.others_found == pytest.approx((others >= found.threshold).mean())
    assert found.same_found - found.others_found == pytest.approx(max(best, 0), abs=1e-9)


def test_pairs_far_apart_are_cut_halfway() -> None:
    found = propose(np.array([0.9, 0.95, 1.0]), np.array([0.1, 0.5]))
    assert found == pytest.approx((0.7, 1.0, 0.0))


def test_a_few_unknown_copies_among_the_others_do_not_move_it() -> None:
    rng = np.random.default_rng(0)
    same, others = rng.uniform(0.9, 1, 200), rng.uniform(0.2, 0.8, 200)
    with_copies = np.concatenate([others, rng.uniform(0.92, 1, 10)])
    assert 0.8 < propose(same, with_copies).threshold < 0.9


@given(COSINES, COSINES)
def test_bins_hold_every_pair(same: np.ndarray, others: np.ndarray) -> None:
    drawn = histogram(same, others)
    assert sum(drawn["same"]) == pytest.approx(1) and sum(drawn["others"]) == pytest.approx(1)
    assert len(drawn["edges"]) == len(drawn["same"]) + 1
