"""Near clusters: compared with all pairs, and fast however the hashes are spread."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_fingerprint import fingerprint
from planted import draw_pictures
from scipy.sparse.csgraph import connected_components

from unchoke.cleaning.near_duplicates import near_clusters, turned_clusters, turned_hashes
from unchoke.errors import UnchokeError

# Few bases with few bits changed: chains, stars and lone hashes.
BASES = (0, 2**64 - 1, 0x0123_4567_89AB_CDEF, 0x8000_0000_0000_0001)
CHANGES = st.lists(st.integers(0, 63), max_size=6).map(lambda places: sum({1 << place for place in places}))
HASH = st.one_of(st.builds(lambda base, change: base ^ change, st.sampled_from(BASES), CHANGES), st.integers(0, 20))
HASHES = st.lists(HASH, max_size=60).map(lambda hashes: np.array(hashes, dtype=np.uint64))
RADIUS = st.integers(0, 7)


def from_all_pairs(hash_N, radius):
    if not len(hash_N):
        return np.empty(0, dtype=np.int64)
    near_NN = np.bitwise_count(hash_N[:, None] ^ hash_N) <= radius
    component_N = connected_components(near_NN, directed=False)[1]
    return np.array([np.flatnonzero(component_N == component)[0] for component in component_N])


def changed_bits(hash_N, count, rng):
    for _ in range(count):
        hash_N = hash_N ^ (np.uint64(1) << rng.integers(0, 64, len(hash_N)).astype(np.uint64))
    return hash_N


@given(HASHES, RADIUS)
def test_clusters_are_those_of_all_pairs(hash_N, radius):
    found = near_clusters(hash_N, radius)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, from_all_pairs(hash_N, radius))


@pytest.mark.parametrize("radius", range(8))
@pytest.mark.parametrize(
    "mask", [2**64 - 1, 0xFFFF_FFFF, 0x8010_4020_1008_9C41, 0xFFF0_0000_0000_0000], ids=lambda mask: f"{mask:x}"
)
def test_many_hashes_that_share_bits_give_the_clusters_of_all_pairs(mask, radius):
    rng = np.random.default_rng(radius)
    hash_N = rng.integers(0, 2**64, 1200, dtype=np.uint64)
    hash_N[400:] = changed_bits(hash_N[rng.integers(0, 400, 800)], 5, rng)
    np.testing.assert_array_equal(
        near_clusters(hash_N & np.uint64(mask), radius), from_all_pairs(hash_N & np.uint64(mask), radius)
    )


@given(HASHES, RADIUS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_the_names_alone(hash_N, radius, random):
    order = np.array(random.sample(range(len(hash_N)), len(hash_N)), dtype=np.int64)
    here, there = near_clusters(hash_N, radius)[order], near_clusters(hash_N[order], radius)
    np.testing.assert_array_equal(here[:, None] == here, there[:, None] == there)


@given(HASHES, RADIUS)
def test_a_cluster_is_named_by_its_first_row(hash_N, radius):
    cluster_N = near_clusters(hash_N, radius)
    assert all(np.flatnonzero(cluster_N == cluster)[0] == cluster for cluster in cluster_N)


@given(HASHES)
def test_radius_0_joins_equal_hashes_alone(hash_N):
    expected = [hash_N.tolist().index(value) for value in hash_N.tolist()]
    assert near_clusters(hash_N, 0).tolist() == expected


def test_hashes_are_joined_through_others():
    assert near_clusters(np.array([0b111111, 0b111, 0], dtype=np.uint64), 3).tolist() == [0, 0, 0]
    assert near_clusters(np.array([0b111111, 0b1111, 0], dtype=np.uint64), 3).tolist() == [0, 0, 2]


def test_turned_hashes_are_nearly_those_of_the_turned_pictures():
    """Swapped sides to the last bit; flips but for the bits between the median and 0."""
    pictures = list(draw_pictures(12, 64, 64))
    hash_KN = turned_hashes(np.array([fingerprint(rgb_HW3)[0][2] for rgb_HW3 in pictures]))
    turns = [lambda x: x, lambda x: x[:, ::-1], lambda x: x[::-1], lambda x: x[::-1, ::-1]]
    for place, turn in enumerate([*turns, *(lambda x, turn=turn: turn(x.swapaxes(0, 1)) for turn in turns)]):
        own_N = np.array([fingerprint(np.ascontiguousarray(turn(rgb_HW3)))[0][2] for rgb_HW3 in pictures])
        bits_N = np.bitwise_count(hash_KN[place] ^ own_N)
        assert bits_N.mean() < 6 if place not in (0, 4) else bits_N.max() == 0


@given(HASHES, st.sampled_from([0, 2, 4]))
def test_turned_clusters_are_those_of_all_pairs_of_all_forms(hash_N, radius):
    if not len(hash_N):
        return
    near_NN = (np.bitwise_count(turned_hashes(hash_N)[:, :, None] ^ hash_N) <= radius).any(0)
    component_N = connected_components(near_NN, directed=False)[1]
    expected = [np.flatnonzero(component_N == component)[0] for component in component_N]
    assert turned_clusters(hash_N, radius).tolist() == expected


def test_no_hashes_have_no_clusters():
    assert turned_clusters(np.empty(0, dtype=np.uint64), 4).tolist() == []
    assert near_clusters(np.empty(0, dtype=np.uint64), 3).tolist() == []


@pytest.mark.parametrize("radius", [-1, 8])
def test_a_radius_beyond_the_limits_is_refused(radius):
    with pytest.raises(UnchokeError, match=f"found: +{radius} bits"):
        near_clusters(np.zeros(2, dtype=np.uint64), radius)


@pytest.mark.parametrize("shared_bits", [0, 16, 24, 64])
def test_memory_stays_small_where_many_hashes_share_their_bits(shared_bits):
    rng = np.random.default_rng(0)
    hash_N = rng.integers(0, 2**64, 60_000, dtype=np.uint64) >> np.uint64(min(shared_bits, 63))
    tracemalloc.start()
    near_clusters(hash_N, 3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30 * hash_N.nbytes  # a matrix of all pairs would take 7,500 times as much
