"""Pure: the maps that a detector of text learns: where words are, shrunk, and how far it is to their borders.

Both after Liao, Wan, Yao, Chen and Bai, "Real-time scene text detection with differentiable binarization", AAAI 2020,
section 3.4, and Liao, Zou, Wan, Yao and Bai, "Real-time scene text detection with differentiable binarization and
adaptive scale fusion", TPAMI 2022, section 3.5. An outline of area A and length L is moved by

    d = A (1 - r²) / L        r = 0.4

inwards, which gives the word's kernel in the probability map, and outwards. In the threshold map a pixel whose centre
lies within the outer outline has 0.7 on the word's own outline, 0.3 at the distance d from it and farther inside, and
what lies between by its distance. Where words meet, the larger threshold counts.

A pixel belongs to an outline if its centre does. All is computed from the coordinates of the whole picture, so that the
maps of a window are those of the picture, cut out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from unchoke.metrics.shapes import heights_px
from unchoke.names import IGNORED
from unchoke.polygons.mend import signed_area
from unchoke.polygons.word import Corners

RATIO = 0.4
"""r: the kernel of a long, narrow word has about r² of its width."""
LOW, HIGH = 0.3, 0.7
STEPS = 255
"""The threshold map counts in 255ths."""
OUTSIDE = 255
"""In the threshold map: outside of the outer outlines of all words."""
KERNEL = 1
_SEGMENTS = 8  # of a quarter of a circle, where an outline that is moved turns around a corner


Bounds = tuple[float, float, float, float]
"""Left, upper, right and lower end of a box, px."""


class Window(NamedTuple):
    """A part of a picture, px; it may reach beyond the picture's lower and right border."""

    y0: int
    x0: int
    height: int
    width: int


class Maps(NamedTuple):
    """The maps of a window."""

    kernels_HW: NDArray[np.uint8]
    """The probability map and its mask in one: 1 in the kernels of words, 0 elsewhere, ``names.IGNORED`` where nothing
    is known: in ignored words, in words without a kernel, beyond the picture."""
    threshold_HW: NDArray[np.uint8]
    """The threshold map and its mask in one: 255ths, 76 to 179, within the outer outlines of words, else OUTSIDE."""


@dataclass(frozen=True)
class Target:
    """What one outline gives in the maps; see the module."""

    outline: Corners
    kernels: list[Corners]
    """All parts that the shrunk outline falls into, also the rings of holes; none of an ignored word."""
    outer: list[Corners]
    """None of an ignored word."""
    distance_px: float
    """d."""


def target_of(outline: Corners, ignored: bool, smallest_px: float = 0.0) -> Target:
    """What an outline gives. It counts as ignored, too, if its smallest turned box is narrower than `smallest_px`, or
    nothing is left of it when it is shrunk."""
    shape = Polygon(outline)
    distance = shrink_distance(shape.area, shape.length)
    if ignored or heights_px(np.array([shape]))[0] < smallest_px:
        return Target(outline, [], [], distance)
    if not (kernels := _rings(shape.buffer(-distance, quad_segs=_SEGMENTS))):
        return Target(outline, [], [], distance)
    return Target(outline, kernels, _rings(shape.buffer(distance, quad_segs=_SEGMENTS)), distance)


def shrink_distance(area: float, length: float) -> float:
    """d in px, from px² and px."""
    return area * (1 - RATIO**2) / length


def _rings(shape: shapely.Geometry) -> list[Corners]:
    """All rings of all parts; those of holes count by parity."""
    rings = shapely.get_rings(shapely.get_parts(shape))
    return [tuple(map(tuple, shapely.get_coordinates(ring)[:-1].tolist())) for ring in rings]


def draw_maps(targets: Sequence[Target], window: Window, height: int, width: int) -> Maps:
    """The maps of a window, from all outlines of a picture of this size, px. Outlines elsewhere cost next to nothing.

    Where a kernel and an ignored word overlap, nothing is known.
    """
    kernels_HW, threshold_HW = (np.zeros((window.height, window.width), np.uint8) for _ in range(2))
    near = [target for target in targets if touches(bounds_of(target.outline), window)]
    for target in near:
        if target.kernels:
            _fill(kernels_HW, target.kernels, window, KERNEL)
            _raise_threshold(threshold_HW, target, window)
    for target in near:
        if not target.kernels:
            _fill(kernels_HW, [target.outline], window, IGNORED)
    threshold_HW[threshold_HW == 0] = OUTSIDE
    below, right = max(0, height - window.y0), max(0, width - window.x0)
    for map_HW, unknown in ((kernels_HW, IGNORED), (threshold_HW, OUTSIDE)):
        map_HW[below:] = map_HW[:, right:] = unknown
    return Maps(kernels_HW, threshold_HW)


def bounds_of(outline: Corners) -> Bounds:
    """What an outline reaches in the maps: the box around it, d px wider on every side, and rounding."""
    x_K, y_K = zip(*outline, strict=True)
    length = sum(map(math.dist, outline, (*outline[1:], outline[0])))
    room = shrink_distance(abs(signed_area(outline)), length) + 1
    return min(x_K) - room, min(y_K) - room, max(x_K) + room, max(y_K) + room


def touches(bounds: Bounds, window: Window) -> bool:
    """Whether a box has a part in a window."""
    left, upper, right, lower = bounds
    in_rows = upper < window.y0 + window.height and lower > window.y0
    return in_rows and left < window.x0 + window.width and right > window.x0


def _fill(map_HW: NDArray[np.uint8], rings: Sequence[Corners], window: Window, value: int) -> None:
    inside, place = inside_of(rings, window)
    map_HW[place][inside] = value


def _raise_threshold(threshold_HW: NDArray[np.uint8], target: Target, window: Window) -> None:
    inside_hw, place = inside_of(target.outer, window)
    y_P, x_P = (axis_P + 0.5 for axis_P in np.nonzero(inside_hw))
    share_P = _distance(target.outline, y_P + (window.y0 + place[0].start), x_P + (window.x0 + place[1].start))
    share_P /= target.distance_px
    value_P = np.rint((HIGH - (HIGH - LOW) * np.minimum(share_P, 1)) * STEPS).astype(np.uint8)
    threshold_HW[place][inside_hw] = np.maximum(threshold_HW[place][inside_hw], value_P)


def inside_of(rings: Sequence[Corners], window: Window) -> tuple[NDArray[np.bool_], tuple[slice, slice]]:
    """Which pixels have their centres within an odd number of rings: bool (h, w), and where in the window these lie.

    Row by row the edges that cross the centres are counted; of a ring's left and right border the left belongs to it.
    """
    starts_E2 = np.array([corner for ring in rings for corner in ring])
    ends_E2 = np.array([corner for ring in rings for corner in (*ring[1:], ring[0])])
    top, bottom = _span(starts_E2[:, 1], window.y0, window.height)
    left, right = _span(starts_E2[:, 0], window.x0, window.width)
    (x_E, y_E), (x2_E, y2_E) = starts_E2.T, ends_E2.T
    y_h1 = np.arange(window.y0 + top, window.y0 + bottom)[:, None] + 0.5
    row_K, edge_K = np.nonzero((y_E <= y_h1) != (y2_E <= y_h1))
    x_E, y_E, x2_E, y2_E = (values[edge_K] for values in (x_E, y_E, x2_E, y2_E))
    crossing_K = x_E + (y_h1[row_K, 0] - y_E) / (y2_E - y_E) * (x2_E - x_E)
    first_K = np.ceil(crossing_K - 0.5).astype(np.int64) - (window.x0 + left)  # the first pixel right of the edge
    turns_hw = np.zeros((bottom - top, right - left + 1), np.uint8)
    np.add.at(turns_hw, (row_K, np.clip(first_K, 0, right - left)), 1)
    inside_hw: NDArray[np.bool_] = (np.cumsum(turns_hw, 1, dtype=np.uint8)[:, :-1] & 1).astype(bool)
    return inside_hw, np.s_[top:bottom, left:right]


def _span(values_E: NDArray[np.float64], start: int, length: int) -> tuple[int, int]:
    """First pixel of a window that some values may touch, and the one behind the last."""
    first, behind = np.floor(values_E.min()) - start, np.ceil(values_E.max()) - start
    low = int(np.clip(first, 0, length))
    return low, max(low, int(np.clip(behind, 0, length)))


def _distance(outline: Corners, y_P: NDArray[np.float64], x_P: NDArray[np.float64]) -> NDArray[np.float64]:
    """From points to an outline, px: the smallest distance to one of its edges."""
    nearest_P = np.full(len(y_P), np.inf)
    for (x, y), (x2, y2) in zip(outline, (*outline[1:], outline[0]), strict=True):
        dx, dy = x2 - x, y2 - y
        along_P = np.clip(((x_P - x) * dx + (y_P - y) * dy) / (dx * dx + dy * dy), 0, 1)
        np.minimum(nearest_P, (x_P - x - along_P * dx) ** 2 + (y_P - y - along_P * dy) ** 2, out=nearest_P)
    distance_P: NDArray[np.float64] = np.sqrt(nearest_P)
    return distance_P
