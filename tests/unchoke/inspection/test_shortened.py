"""The bound of cosines holds for every pair, and the directions follow the data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.inspection.shortened import Directions, choose_directions, margin_of, unit


def cloud(seed: int, n: int, width: int, decay: float) -> np.ndarray:
    """Rows around an axis, of which later numbers are smaller."""
    x_ND = np.random.default_rng(seed).normal(size=(n, width)) * np.arange(1, width + 1) ** -decay
    return (x_ND + 0.1).astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.floats(0, 2))
def test_no_cosine_lies_above_its_bound(seed: int, width: int, decay: float) -> None:
    rng = np.random.default_rng(seed)
    x_ND = cloud(seed, 20, width, decay)
    x_ND[1], x_ND[2], x_ND[3] = x_ND[0], -x_ND[0], 0
    k = int(rng.integers(1, width + 1))
    short_Nk = Directions(np.linalg.qr(rng.normal(size=(width, k)))[0]).shorten(unit(x_ND))
    assert short_Nk.dtype == np.float32 and short_Nk.shape == (20, k + 1)
    unit_ND = x_ND.astype(np.float64) / np.maximum(np.linalg.norm(x_ND.astype(np.float64), axis=1), 1e-300)[:, None]
    assert (short_Nk @ short_Nk.T + margin_of(k + 1) >= unit_ND @ unit_ND.T).all()
    assert np.linalg.norm(short_Nk, axis=1) - (x_ND != 0).any(1) == pytest.approx(0, abs=1e-6)


def test_few_directions_serve_where_numbers_decay_and_none_where_pairs_are_everywhere() -> None:
    def width_of(decay: float, threshold: float) -> int:
        found = choose_directions(cloud(0, 2000, 256, decay), threshold)
        return found.basis_Dk.shape[1] if found else 0

    assert width_of(2.0, 0.999) == 32
    assert 32 < width_of(0.0, 0.7) <= 128
    assert width_of(0.0, 0.3) == 0
    basis_Dk = choose_directions(cloud(0, 2000, 256, 1.0), 0.95).basis_Dk
    assert basis_Dk.T @ basis_Dk == pytest.approx(np.eye(basis_Dk.shape[1]), abs=1e-12)
