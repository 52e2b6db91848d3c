"""Pure: polygons given as corners, as Shapely's shapes: mended where they are not valid, never an error."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

Polygon = NDArray[np.floating]
"""Corners (K, 2): x and y, px, in order round the outline, the first not repeated at the end."""
Shapes = NDArray[np.object_]
"""Shapely's polygons, of one part or several, or empty."""

FEWEST_CORNERS = 3
_EMPTY = shapely.Polygon()


def shapes_of(polygons: Sequence[Polygon]) -> Shapes:
    """Valid shapes of P polygons, (P,).

    A polygon that crosses itself becomes all that its outline encloses (``shapely.make_valid``, method "structure").
    Fewer than three corners, corners that are not finite, and corners on one line give an empty shape.
    """
    shape_P = np.full(len(polygons), _EMPTY, object)
    sound = [place for place, corners in enumerate(polygons) if _has_outline(np.asarray(corners))]
    if not sound:
        return shape_P
    corners = [np.asarray(polygons[place], np.float64) for place in sound]
    ring_N = np.repeat(np.arange(len(sound)), [len(part) for part in corners])
    shape_P[sound] = shapely.polygons(shapely.linearrings(np.concatenate(corners), indices=ring_N))
    invalid_P = ~shapely.is_valid(shape_P)
    shape_P[invalid_P] = shapely.make_valid(shape_P[invalid_P], method="structure", keep_collapsed=False)
    return shape_P


def heights_px(shape_P: Shapes) -> NDArray[np.float64]:
    """The shorter side of each shape's smallest rectangle, turned in any direction, (P,); 0 for an empty one."""
    rectangle_P = shapely.oriented_envelope(shape_P)
    height_P = np.zeros(len(shape_P))
    flat_P = shapely.area(rectangle_P) > 0
    if flat_P.any():
        corner_R42 = shapely.get_coordinates(rectangle_P[flat_P]).reshape(-1, 5, 2)[:, :4]
        side_R2 = np.linalg.norm(corner_R42[:, 1:3] - corner_R42[:, :2], axis=2)
        height_P[flat_P] = side_R2.min(1)
    return height_P


def _has_outline(corners: NDArray[np.floating]) -> bool:
    return corners.ndim == 2 and len(corners) >= FEWEST_CORNERS and bool(np.isfinite(corners).all())
