"""Pure: clusters of 64-bit hashes that differ in few bits, found without comparing all with all.

Banding: the bits are cut into radius + 1 bands. Two hashes that differ in at most `radius` bits agree in at least one
band, since each differing bit changes only one. So the hashes are sorted by each band in turn, and only hashes with the
same band are compared. If too many hashes share a band, they are banded again by their other bits (multi-index hashing:
Norouzi, Punjani and Fleet 2012).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unchoke.errors import UnchokeError

MAX_RADIUS = 7
_LARGE = 2 ** (MAX_RADIUS + 1)  # hashes that share a band; more of them differ in at least MAX_RADIUS + 2 bits
_FLIP_ACROSS, _FLIP_DOWN = 0xAAAA_AAAA_AAAA_AAAA, 0xFF00_FF00_FF00_FF00  # bits of odd frequencies, 1 to 7
_BLOCK = 2**15  # hashes compared at a time, so that they stay in the processor's cache
_WAITING = 2**14  # arrays of pairs that are held before they are merged

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]


def near_clusters(hash_N: Hashes, radius: int) -> Ints:
    """The cluster of each of N hashes, int64 (N,), named by the first row in it; a row alone names itself.

    Clusters are the connected components of the pairs at most `radius` bits apart (0 to 7), so two members may be
    farther apart. The order of the rows changes only the names. Memory is about fifteen times that of the hashes,
    whatever their values.
    """
    if not 0 <= radius <= MAX_RADIUS:
        raise UnchokeError(
            "The radius does not fit.", found=f"{radius} bits", expected=f"0 to {MAX_RADIUS} bits", do="choose another"
        )
    if not len(hash_N):
        return np.empty(0, dtype=np.int64)
    by_hash = np.argsort(hash_N)
    start_U = _starts(hash_N[by_hash])
    components = Components(len(start_U))
    hash_U = hash_N[by_hash[start_U]]
    _link_near(hash_U, np.arange(len(hash_U)), np.array([len(hash_U)]), 0, radius, components)
    components.merge()
    first_U = np.minimum.reduceat(by_hash, start_U)
    first = np.full(len(start_U), len(hash_N))
    np.minimum.at(first, components.label_U, first_U)
    cluster_N = np.empty(len(hash_N), dtype=np.int64)
    cluster_N[by_hash] = np.repeat(first[components.label_U], _sizes(start_U, len(hash_N)))
    return cluster_N


def turned_clusters(hash_N: Hashes, radius: int) -> Ints:
    """``near_clusters`` where a hash is near another one also if it is near one of its eight turned forms."""
    n = len(hash_N)
    cluster_KN = near_clusters(turned_hashes(hash_N).ravel(), radius).reshape(8, n)
    edges = (np.tile(np.arange(n), 8), n + cluster_KN.ravel())
    graph = coo_array((np.ones(8 * n, dtype=bool), edges), shape=(9 * n, 9 * n))
    _, component_N = np.unique(connected_components(graph, directed=False)[1][:n], return_inverse=True)
    first = np.full(n, n)
    np.minimum.at(first, component_N, np.arange(n))
    return np.asarray(first[component_N], dtype=np.int64)


def turned_hashes(hash_N: Hashes) -> Hashes:
    """Hashes of all flipped and quarter-turned forms, uint64 (8, N), derived from the hashes of the pictures.

    A flip changes the sign of the coefficients with odd frequencies along its side, a transposition swaps the sides. So
    bits are swapped, which is exact, or inverted, which is exact where the median coefficient is 0: on photographs 2.6
    bits of 64 differ from the hash of the flipped picture on average. All eight forms of a picture have the same set of
    forms.
    """
    bit_N88 = np.unpackbits(hash_N.astype(">u8").view(np.uint8)).reshape(-1, 8, 8)
    swapped_N = np.packbits(bit_N88.transpose(0, 2, 1)).view(">u8").astype(np.uint64)
    flips = (0, _FLIP_ACROSS, _FLIP_DOWN, _FLIP_ACROSS ^ _FLIP_DOWN)
    return np.stack([one_N ^ np.uint64(flip) for one_N in (hash_N, swapped_N) for flip in flips])


class Components:
    """Connected components of U hashes, all of them different, while pairs come in."""

    def __init__(self, count: int) -> None:
        self.label_U = np.arange(count)
        """Component of each hash, from the pairs merged so far."""
        self._pairs: list[tuple[Ints, Ints]] = []
        self._waiting = self._compared = 0

    def link(self, one_P: Ints, other_P: Ints) -> None:
        """Add P pairs of places; pairs between different labels wait for the next merge."""
        one_P, other_P = self.label_U[one_P], self.label_U[other_P]
        apart_P = one_P != other_P
        self._pairs.append((one_P[apart_P], other_P[apart_P]))
        self._waiting += int(apart_P.sum())
        if self._waiting > len(self.label_U) or len(self._pairs) > _WAITING:
            self.merge()

    def compared(self, count: int) -> None:
        """Count compared hashes and merge after every U, so that merging stays the smaller part of the work."""
        self._compared += count
        if self._compared >= len(self.label_U):
            self.merge()

    def merge(self) -> None:
        if self._waiting:
            one_P, other_P = (np.concatenate(part) for part in zip(*self._pairs, strict=True))
            graph = coo_array((np.ones(len(one_P), dtype=bool), (one_P, other_P)), shape=(len(self.label_U),) * 2)
            self.label_U = connected_components(graph, directed=False)[1][self.label_U].astype(np.int64)
        self._pairs, self._waiting, self._compared = [], 0, 0


def _link_near(hash_M: Hashes, place_M: Ints, size_G: Ints, shared: int, radius: int, components: Components) -> None:
    """Link near hashes within each of G consecutive groups of M different hashes.

    Each group has its own value in the bits of the mask `shared`.
    """
    first_M = np.repeat(hash_M[np.cumsum(size_G) - size_G], size_G)
    differing = int(np.bitwise_or.reduce(hash_M ^ first_M))
    bits = np.array([1 << bit for bit in range(64) if differing >> bit & 1], dtype=np.uint64)
    for band in np.array_split(bits, radius + 1):
        mask = shared | int(np.bitwise_or.reduce(band))
        key_M = hash_M & np.uint64(mask)
        by_key = np.argsort(key_M)
        start = _starts(key_M[by_key])
        size = _sizes(start, len(by_key))
        label_M = components.label_U[place_M[by_key]]
        undecided = np.minimum.reduceat(label_M, start) < np.maximum.reduceat(label_M, start)
        few, many = undecided & (size <= _LARGE), undecided & (size > _LARGE)
        rows = by_key[np.repeat(few, size)]
        _compare(hash_M[rows], place_M[rows], size[few], radius, components)
        components.compared(len(by_key))
        if many.any():
            rows = by_key[np.repeat(many, size)]
            _link_near(hash_M[rows], place_M[rows], size[many], mask, radius, components)


def _compare(hash_M: Hashes, place_M: Ints, size: Ints, radius: int, components: Components) -> None:
    """Link near hashes among M, in runs of lengths `size`; near pairs across runs may be linked too."""
    length_M = np.repeat(size, size)
    for start in range(0, len(hash_M), _BLOCK):
        stop = min(start + _BLOCK, len(hash_M))
        for lag in range(1, int(length_M[start:stop].max())):
            other = hash_M[start + lag : stop + lag]
            distance = np.bitwise_count(hash_M[start : start + len(other)] ^ other)
            near = np.flatnonzero(distance <= radius) + start
            if len(near):
                components.link(place_M[near], place_M[near + lag])


def _starts(sorted_M: Hashes) -> Ints:
    """Where a new value begins."""
    return np.flatnonzero(np.concatenate([[True], sorted_M[1:] != sorted_M[:-1]]))


def _sizes(start: Ints, count: int) -> Ints:
    return np.diff(start, append=count)
