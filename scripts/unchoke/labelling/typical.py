"""Pure: typical images: those whose nearest neighbours are near, and that are not neighbours of each other.

Hacohen, Dekel and Weinshall 2022, "Active learning on a budget: opposite strategies suit high and low budgets", ICML
(arXiv:2202.02794), equation 4: the typicality of an image is the inverse of its mean distance to its k nearest
neighbours, by features of length 1. They cut the images into clusters and take the most typical one of each. Here the
image with the fewest chosen neighbours comes next, and of equals the most typical one. Two images are neighbours where
one is among the k nearest of the other. So nothing is drawn, and fewer images are a prefix of more. An added image
changes nothing up to the place where it is chosen itself, unless it is among the k nearest of an image.
"""

import heapq

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def mean_distances(cosine_Nk: NDArray[np.floating], near_Nk: Ints) -> Floats:
    """Mean distance of images to their neighbours, of features of length 1, float64 (N,); infinite without any.

    near_Nk: places of the neighbours, -1 where there are fewer than k.
    """
    there_Nk = near_Nk >= 0
    distance_Nk = np.sqrt(np.maximum(2 - 2 * cosine_Nk.astype(np.float64), 0))
    count_N = there_Nk.sum(1)
    sum_N = np.where(there_Nk, distance_Nk, 0).sum(1)
    return np.asarray(np.divide(sum_N, count_N, out=np.full(len(count_N), np.inf), where=count_N > 0))


def most_typical(
    near_Nk: Ints, distance_N: Floats, may_N: NDArray[np.bool_], draw_N: NDArray[np.uint64], n: int
) -> Ints:
    """Places of `n` of N images, in order.

    near_Nk: places of the k nearest of each, -1 where there are fewer. distance_N: ``mean_distances``. may_N: which may
    be chosen; the others are covered, and count as chosen before all. draw_N: the order of equals.
    """
    neighbours = _neighbours(near_Nk)
    rank_N = np.empty(len(draw_N), np.int64)
    rank_N[np.lexsort((draw_N, distance_N))] = np.arange(len(draw_N))
    chosen_N = np.asarray(neighbours @ (~may_N).astype(np.int64))
    waiting = [(int(chosen_N[place]), int(rank_N[place]), int(place)) for place in np.flatnonzero(may_N)]
    heapq.heapify(waiting)
    found = list[int]()
    while len(found) < n:
        count, rank, place = heapq.heappop(waiting)
        if count < chosen_N[place]:  # a neighbour was chosen since
            heapq.heappush(waiting, (int(chosen_N[place]), rank, place))
            continue
        found.append(place)
        chosen_N[neighbours.indices[neighbours.indptr[place] : neighbours.indptr[place + 1]]] += 1
    return np.array(found, np.int64)


def _neighbours(near_Nk: Ints) -> csr_array:
    """1 where two images are neighbours, either way, sparse int64 (N, N)."""
    n, k = near_Nk.shape
    row_E, column_E = np.repeat(np.arange(n), k)[near_Nk.ravel() >= 0], near_Nk.ravel()[near_Nk.ravel() >= 0]
    one_way = csr_array((np.ones(len(row_E), np.int8), (row_E, column_E)), (n, n))
    both = csr_array((one_way + one_way.T).astype(bool).astype(np.int64))
    both.sum_duplicates()
    return both
