"""Pure: farthest-first traversal: each image is the one farthest from all before it.

Gonzalez 1985, "Clustering to minimize the maximum intercluster distance", Theoretical Computer Science 38: the largest
distance of any image to the chosen ones is at most twice that of the best choice of as many. Sener and Savarese 2018,
"Active learning for convolutional neural networks: a core-set approach" (arXiv:1708.00489), begin with the labelled
images, as here.

The distance is one less the cosine, in float64, rounded to ``DIGITS`` digits; of equals the image with the smaller
draw comes first. So the choice is a sequence: fewer images are a prefix of more. An image that is not chosen changes
nothing: where images are added, the sequence stays the same up to the first of them that is chosen itself.

Memory holds a distance for each image, and the features of a reserve of the farthest ones. Distances only shrink. So
the next image is in the reserve while one of it is farther than all others were when it was filled. The store is read
once for each time that it is filled.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DIGITS = 6
RESERVE = 4096  # images whose features are in memory, 40 MB at 1,280 features
_CHOSEN = -1.0

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
ReadUnit = Callable[[Ints], Floats]
"""From places of images to their features of length 1, float64 (B, D)."""


class Chosen(NamedTuple):
    """The images that were chosen, M of them, in order."""

    place_M: Ints
    gap_M: Floats
    """Distance of each to the nearest one before it, or to what was covered before; infinite where there is none."""
    radius: float
    """The largest distance that is left: of any image to the nearest one chosen or covered."""


def farthest_first(
    read_unit: ReadUnit,
    gap_N: Floats,
    draw_N: NDArray[np.uint64],
    n: int,
    blocks: Sequence[slice],
    reserve: int = RESERVE,
    told: Callable[[int], None] = lambda count: None,
) -> Chosen:
    """At most `n` of N images; fewer where the others are copies, at distance 0, of those chosen or covered.

    gap_N: distance to what is covered already, infinite where nothing is. draw_N: the order of equals. blocks: of
    places, which are read at once. told: is given the count so far after each pass over the images.
    """
    gap_N, place_M, gap_M = np.round(gap_N, DIGITS), list[int](), list[float]()
    while len(place_M) < n and gap_N.max() > 0:
        found, gaps, centre_PD = _from_reserve(read_unit, gap_N, draw_N, n - len(place_M), reserve)
        place_M, gap_M = place_M + found, gap_M + gaps
        for block in blocks:
            places = np.arange(block.start, block.stop)
            gap_N[block] = np.minimum(gap_N[block], distances(read_unit(places), centre_PD).min(1))
        gap_N[place_M] = _CHOSEN
        told(len(place_M))
    return Chosen(np.array(place_M, np.int64), np.array(gap_M), max(float(gap_N.max()), 0.0))


def distances(one_ND: Floats, other_MD: Floats) -> Floats:
    """One less the cosine of rows of length 1, rounded so that copies are at 0: float64 (N, M)."""
    return np.asarray(np.maximum(np.round(1 - one_ND @ other_MD.T, DIGITS), 0))


def _from_reserve(
    read_unit: ReadUnit, gap_N: Floats, draw_N: NDArray[np.uint64], n: int, reserve: int
) -> tuple[list[int], list[float], Floats]:
    """As many of the next images as the farthest ones alone tell: places, gaps and features."""
    order = np.lexsort((draw_N, -gap_N))
    held, outside = order[:reserve], order[reserve : reserve + 1]
    bound = (-gap_N[outside[0]], draw_N[outside[0]]) if len(outside) else None
    x_HD, gap_H, draw_H = read_unit(held), gap_N[held].copy(), draw_N[held]
    at_M, gap_M = list[int](), list[float]()
    while len(at_M) < n:
        at = int(np.lexsort((draw_H, -gap_H))[0])
        if gap_H[at] <= 0 or (bound is not None and (-gap_H[at], draw_H[at]) > bound):
            break
        at_M.append(at)
        gap_M.append(float(gap_H[at]))
        gap_H = np.minimum(gap_H, distances(x_HD, x_HD[at : at + 1])[:, 0])
        gap_H[at] = _CHOSEN
    return held[at_M].tolist(), gap_M, x_HD[at_M]
