"""Pure: the outline of a region of pixels, and the word that its outline stands for.

The pixel of row y and column x covers the square from (x, y) to (x + 1, y + 1). Corners run clockwise as one sees them,
with y downwards, from the corner nearest to the top left.
"""

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray

from unchoke.metrics.shapes import Polygon

_LEVEL = 0.5 - 1e-6
"""Below one half, so that an outline holds pixels together that touch by a corner."""
_TOLERANCE_PX = 0.75
"""Of an outline: more than the half pixel by which the steps of a slanted edge leave it."""
_TOLERANCE = 0.002
"""The same as a share of the perimeter, for large outlines, as in DB."""
_MITRE_LIMIT = 2.0
"""Of the distance from a corner to the moved one, as a multiple of the offset."""


def outline(filled_HW: NDArray[np.bool_]) -> Polygon:
    """Corners (K, 2) of the outline of one region without holes; convex corners of pixels are cut by half a pixel."""
    padded_HW = np.pad(filled_HW, 1).astype(np.float64)
    lines = contourpy.contour_generator(z=padded_HW, name="serial").lines(_LEVEL)
    return np.asarray(lines[0][:-1], np.float64) - 0.5  # centres of pixels to corners, less the padding


def grown_quadrilateral(shape: shapely.Polygon, unclip: float) -> Polygon:
    """The smallest turned rectangle, each side moved outwards by area × `unclip` / perimeter, (4, 2)."""
    rectangle = shapely.oriented_envelope(shape)
    return _corners(rectangle.buffer(_offset(rectangle, unclip), join_style="mitre"))


def grown_polygon(shape: shapely.Polygon, unclip: float) -> Polygon:
    """The simplified outline, moved outwards by area × `unclip` / perimeter, (K, 2).

    Corners stay sharp, since words have sharp ones and rounding loses area; those below 60 degrees are cut.
    """
    simple = shape.simplify(max(_TOLERANCE * shape.length, _TOLERANCE_PX))
    return _corners(simple.buffer(_offset(simple, unclip), join_style="mitre", mitre_limit=_MITRE_LIMIT))


def _offset(shape: shapely.Polygon, unclip: float) -> float:
    return float(shape.area * unclip / shape.length)


def _corners(shape: shapely.Polygon) -> Polygon:
    """Of the outer ring, turned to begin where this module says."""
    ring = shapely.get_coordinates(shape.exterior)[:-1]
    if not shapely.is_ccw(shape.exterior):  # counter-clockwise with y upwards is clockwise with y downwards
        ring = ring[::-1]
    first = np.lexsort((ring[:, 1], ring.sum(1).round(6)))[0]
    return np.roll(ring, -first, axis=0)
