"""Near images by features: every pair, compared in plain NumPy, and components by a loop."""

from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from unchoke.inspection import near, pairs, shortened
from unchoke.inspection.near import Places, find_near, near_in_features

CPU = torch.device("cpu")


def drawn(seed: int) -> np.ndarray:
    """Few directions in the plane, of which many are near each other, so that there are chains."""
    rng = np.random.default_rng(seed)
    angle_N = rng.uniform(0, 2.5, int(rng.integers(1, 40)))
    return (np.stack([np.cos(angle_N), np.sin(angle_N)], 1) * rng.uniform(0.5, 9, (len(angle_N), 1))).astype(np.float16)


def cosines_of(x_ND: np.ndarray) -> np.ndarray:
    """In float64; 0 for rows of zeros."""
    wide_ND = x_ND.astype(np.float64)
    unit_ND = wide_ND / np.maximum(np.linalg.norm(wide_ND, axis=1, keepdims=True), 1e-300)
    return unit_ND @ unit_ND.T


def in_blocks(patch: pytest.MonkeyPatch, known: int, stripe: int) -> None:
    """Small blocks, so that many are compared."""
    for module in (near, pairs):
        patch.setattr(module, "KNOWN", known)
    patch.setattr(pairs, "_STRIPE", stripe)
    patch.setattr(pairs, "_PART", 2)


def first_of_component(cosine_NN: np.ndarray, threshold: float, used_N: np.ndarray) -> list[int]:
    name = list(range(len(cosine_NN)))
    for _ in name:
        for one in np.flatnonzero(used_N):
            for other in np.flatnonzero(used_N):
                if cosine_NN[one, other] >= threshold:
                    name[one] = name[other] = min(name[one], name[other])
    return name


@given(st.integers(0, 2**32 - 1), st.sampled_from([(3, 2), (5, 5), (100, 1), (100, 100)]))
@settings(max_examples=40)
def test_clusters_are_components_of_all_near_pairs(seed: int, blocks: tuple[int, int]) -> None:
    x_ND = drawn(seed)
    used_N = np.random.default_rng(seed).random(len(x_ND)) < 0.8
    cosine_NN = cosines_of(x_ND)
    with pytest.MonkeyPatch.context() as patch:
        in_blocks(patch, *blocks)
        for threshold in (0.9, 0.999):
            if np.abs(cosine_NN - threshold).min() > 1e-9:
                found = near_in_features(x_ND, used_N, threshold, CPU)
                assert found.tolist() == first_of_component(cosine_NN, threshold, used_N)


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float16, np.float32]), st.sampled_from([0, 2, 10**6]))
@settings(max_examples=60)
def test_no_pair_is_lost_to_the_bound_or_to_rounding(seed: int, kind: type, many: int) -> None:
    """Clouds with equal, opposite and zero rows; the threshold is the cosine of a pair, or 1e-9 beside it."""
    rng = np.random.default_rng(seed)
    n, spread = int(rng.integers(5, 40)), rng.uniform(0.01, 1)
    x_ND = rng.normal(size=(3, 16))[rng.integers(0, 3, n)] + spread * rng.normal(size=(n, 16)) / np.arange(1, 17)
    x_ND[rng.integers(0, n, 3)] = x_ND[0] * np.array([[1], [-1], [0]])
    x_ND = x_ND.astype(kind)
    cosine_NN, used_N = cosines_of(x_ND), rng.random(n) < 0.9
    threshold = float(rng.choice(cosine_NN[cosine_NN > 0.3])) + rng.choice([-1e-9, 0, 1e-9])
    undecided_NN = np.abs(cosine_NN - threshold + pairs.EXACT) < 1e-13
    with pytest.MonkeyPatch.context() as patch:
        in_blocks(patch, int(rng.integers(2, 9)), int(rng.integers(1, 4)))
        patch.setattr(pairs, "_MANY", many)
        patch.setattr(shortened, "WIDTHS", (1, 4))
        if threshold <= 1 and not undecided_NN.any():
            found = near_in_features(x_ND, used_N, threshold, CPU)
            assert found.tolist() == first_of_component(cosine_NN, threshold - pairs.EXACT, used_N)


def test_equal_rows_are_near_at_a_threshold_of_one() -> None:
    x_ND = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float16)[np.arange(40) % 20]
    assert near_in_features(x_ND, np.ones(40, bool), 1.0, CPU).tolist() == [*range(20), *range(20)]


def test_rows_that_are_all_equal_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    in_blocks(monkeypatch, 10, 5)
    read = []
    monkeypatch.setattr(pairs, "rows_of", lambda stored, place_B: read.append(len(place_B)) or stored[place_B])
    assert not near_in_features(np.ones((100, 4), np.float16), np.ones(100, bool), 0.9, CPU).any()
    assert sum(read) < 500  # 10 blocks, of which the first reads the others; 55 pairs of blocks would read 1,000


def test_a_row_that_is_not_finite_is_near_none(monkeypatch: pytest.MonkeyPatch) -> None:
    in_blocks(monkeypatch, 4, 2)
    monkeypatch.setattr(shortened, "WIDTHS", (1,))
    x_ND = np.repeat(IMAGES, 3, 0)
    x_ND[3:5] = np.inf
    found = near_in_features(x_ND, np.ones(len(x_ND), bool), 0.999, CPU)
    assert found[3:6].tolist() == [3, 4, 5] and found[15:].tolist() == [15] * 3


def test_a_store_is_read_in_blocks_and_says_what_the_array_says(tmp_path: Path) -> None:
    x_ND = drawn(5)
    stored = zarr.create_array(tmp_path / "x.zarr", data=x_ND, chunks=(4, 2))
    used_N = np.ones(len(x_ND), bool)
    assert near_in_features(stored, used_N, 0.99, CPU).tolist() == near_in_features(x_ND, used_N, 0.99, CPU).tolist()


IMAGES = np.array([[1, 0, 0], [0, 1, 0], [1, 0.1, 0], [0, 0, 1], [0, 1, 0.05], [1, 0.05, 0.02]], np.float16)
"""0, 2 and 5 are near each other, and 1 and 4."""
PLACES = Places(np.arange(6), np.array([2, 1, 0, 2, 2, 2]))


def test_the_copy_in_test_stays_and_the_others_are_found_with_their_cosine() -> None:
    found, summary = find_near(IMAGES, PLACES, 0.99, {"across": False}, CPU)
    assert found.id_F.tolist() == [0, 4, 5] and found.other_F.tolist() == [2, 1, 2]
    assert found.cluster_F.tolist() == [0, 1, 0] and found.may_go_F.all()
    x_ND = IMAGES.astype(np.float64)
    for row, other, value in zip(found.id_F, found.other_F, found.value_F, strict=True):
        expected = x_ND[row] @ x_ND[other] / np.linalg.norm(x_ND[row]) / np.linalg.norm(x_ND[other])
        assert value == pytest.approx(expected, abs=1e-6)
    assert summary == {"threshold": 0.99, "clusters": 2, "across": 3}


def test_copies_across_splits_alone() -> None:
    """In one split: 5 with 0. Row 3 of the store takes no part."""
    places = Places(np.array([0, 1, 2, 4, 5]), np.array([2, 2, 0, 2, 2]))
    found, summary = find_near(IMAGES, places, 0.99, {"across": True}, CPU)
    assert (found.id_F.tolist(), found.other_F.tolist()) == ([0, 5], [2, 2])
    assert summary["across"] == 2 and summary["clusters"] == 2
    test_alone = Places(np.array([0, 2]), np.array([0, 0]))
    assert not find_near(IMAGES, test_alone, 0.99, {"across": False}, CPU)[0].may_go_F.any()
