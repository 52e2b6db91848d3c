"""Pure: which detection finds which word of an image, by one of two protocols.

A word and a detection can match if their intersection over union is above 0.5. Words that are marked as ignored do not
count. A detection does not count if more than half of its area lies in one ignored word.

``icdar2015``: greedy, as in the evaluation script of ICDAR 2015's Robust Reading Competition (Karatzas et al. 2015):
               each word in turn takes the first free detection that it can match.
``maximal``:   as many pairs as there can be (Hopcroft and Karp 1973). Where words lie close together, the greedy
               protocol can leave a word without the detection that only it could have had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from unchoke.metrics.shapes import Polygon, Shapes, shapes_of

LEAST_IOU = 0.5
LEAST_SHARE_IGNORED = 0.5
"""Of a detection's area, inside one ignored word; both must be exceeded."""


class Words(NamedTuple):
    """The true words of an image."""

    polygons: Sequence[Polygon]
    ignored: NDArray[np.bool_]
    """(W,): whether a word is marked as one that need not be read."""


@dataclass(frozen=True)
class Overlaps:
    """An image's W words and D detections, and how they overlap."""

    shape_W: Shapes
    shape_D: Shapes
    corners_W: NDArray[np.int64]
    """How many corners each word was given with."""
    counted_W: NDArray[np.bool_]
    """False for ignored words."""
    counted_D: NDArray[np.bool_]
    """False for detections inside an ignored word."""
    word_P: NDArray[np.int64]
    """Of each pair that can match, in order of word, then detection."""
    detection_P: NDArray[np.int64]


class Matches(NamedTuple):
    """What was found in an image; places of words and detections as they were given."""

    word_P: NDArray[np.int64]
    """Words that were found, each with the detection at the same place of ``detection_P``: the hits."""
    detection_P: NDArray[np.int64]
    missed: NDArray[np.int64]
    """Counted words without a detection."""
    false_alarms: NDArray[np.int64]
    """Counted detections without a word."""


def overlaps_of(words: Words, detections: Sequence[Polygon]) -> Overlaps:
    """The pairs of an image that can match, by Shapely; only those whose bounding boxes meet are cut with each other.

    A word or detection without an area counts, and matches nothing.
    """
    shape_W, shape_D = shapes_of(words.polygons), shapes_of(detections)
    ignored_W = np.asarray(words.ignored, bool)
    detection_P, word_P = shapely.STRtree(shape_W).query(shape_D) if len(shape_W) else np.zeros((2, 0), np.int64)
    order_P = np.lexsort((detection_P, word_P))
    word_P, detection_P = word_P[order_P], detection_P[order_P]
    common_P = shapely.area(shapely.intersection(shape_W[word_P], shape_D[detection_P]))
    area_P = shapely.area(shape_D)[detection_P]
    union_P = shapely.area(shape_W)[word_P] + area_P - common_P
    inside_P = ignored_W[word_P] & (common_P > LEAST_SHARE_IGNORED * area_P)
    counted_D = ~np.isin(np.arange(len(shape_D)), detection_P[inside_P])
    pair_P = (common_P > LEAST_IOU * union_P) & ~ignored_W[word_P] & counted_D[detection_P]
    corners_W = np.array([len(corners) for corners in words.polygons], np.int64)
    return Overlaps(shape_W, shape_D, corners_W, ~ignored_W, counted_D, word_P[pair_P], detection_P[pair_P])


def matches_of(overlaps: Overlaps, protocol: str, given_D: NDArray[np.bool_] | None = None) -> Matches:
    """The pairs by a protocol of ``PROTOCOLS``, and the words and detections that were left.

    given_D: which of the detections there are, such as those above a score; all without it.
    """
    given_D = np.ones(len(overlaps.shape_D), bool) if given_D is None else given_D
    there_P = given_D[overlaps.detection_P]
    word_P, detection_P = PROTOCOLS[protocol](overlaps.word_P[there_P], overlaps.detection_P[there_P])
    left_W, left_D = overlaps.counted_W.copy(), overlaps.counted_D & given_D
    left_W[word_P], left_D[detection_P] = False, False
    return Matches(word_P, detection_P, np.flatnonzero(left_W), np.flatnonzero(left_D))


_Places = NDArray[np.int64]


def _greedy(word_P: _Places, detection_P: _Places) -> tuple[_Places, _Places]:
    found: dict[int, int] = {}
    taken: set[int] = set()
    for word, detection in zip(word_P.tolist(), detection_P.tolist(), strict=True):
        if word not in found and detection not in taken:
            found[word] = detection
            taken.add(detection)
    return np.array(list(found), np.int64), np.array(list(found.values()), np.int64)


def _maximal(word_P: _Places, detection_P: _Places) -> tuple[_Places, _Places]:
    if not len(word_P):
        return word_P, detection_P
    shape = int(word_P.max()) + 1, int(detection_P.max()) + 1
    graph = csr_array((np.ones(len(word_P), np.int8), (word_P, detection_P)), shape=shape)
    found_W = maximum_bipartite_matching(graph, perm_type="column")
    word_F = np.flatnonzero(found_W >= 0)
    return word_F, found_W[word_F].astype(np.int64)


PROTOCOLS: dict[str, Callable[[_Places, _Places], tuple[_Places, _Places]]] = {
    "icdar2015": _greedy,
    "maximal": _maximal,
}
"""By name, how words and detections are paired."""
