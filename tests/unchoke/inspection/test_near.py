"""Near images by features: every pair, compared in plain NumPy, and components by a loop."""

from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from unchoke.inspection import near, neighbours
from unchoke.inspection.near import Places, find_near, near_in_features

CPU = torch.device("cpu")


def drawn(seed: int) -> np.ndarray:
    """Few directions in the plane, of which many are near each other, so that there are chains."""
    rng = np.random.default_rng(seed)
    angle_N = rng.uniform(0, 2.5, int(rng.integers(1, 40)))
    return (np.stack([np.cos(angle_N), np.sin(angle_N)], 1) * rng.uniform(0.5, 9, (len(angle_N), 1))).astype(np.float16)


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
    unit_ND = x_ND.astype(np.float64) / np.linalg.norm(x_ND.astype(np.float64), axis=1, keepdims=True)
    cosine_NN = unit_ND @ unit_ND.T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "KNOWN", blocks[0])
        patch.setattr(near, "_STRIPE", blocks[1])
        for threshold in (0.9, 0.999):
            if np.abs(cosine_NN - threshold).min() > 1e-6:
                found = near_in_features(x_ND, used_N, threshold, CPU)
                assert found.tolist() == first_of_component(cosine_NN, threshold, used_N)


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


def test_blocks_have_the_size_of_those_of_neighbours() -> None:
    assert near.KNOWN == neighbours.KNOWN
