"""Pure: a word's outline mended where that is exact, else the reason why it cannot be used.

Exact are: a corner that repeats the one before it, or closes the outline, is dropped; corners run clockwise as the
picture is seen; what lies beyond the picture is cut off; the corners of a quadrilateral that crosses itself are put in
the order of its outline, where they have just one (each is a corner of their convex hull).

Any other fault puts the word in quarantine. The place of such a word is no background: its area in the picture becomes
an ignored region. Where a corner could not be read, that is the box around the others.
"""

from collections.abc import Iterator
from typing import NamedTuple

import shapely
from shapely import MultiPoint, Polygon
from shapely.geometry.base import BaseGeometry

from unchoke.polygons.word import FEW, Corners, Word

NO_AREA = "no area"
CROSSES = "crosses itself"
OUTSIDE = "lies outside of the picture"
IN_PIECES = "falls into pieces at the border of the picture"


class Mended(NamedTuple):
    """What becomes of a word."""

    outlines: list[Corners]
    """One outline; of a word in quarantine its ignored regions, none where it has no area in the picture."""
    reason: str
    """Why it is in quarantine; empty where it is not."""


def mend(word: Word, height: int, width: int) -> Mended:
    """The outline of a word in a picture of this size, px: simple, clockwise, within the picture."""
    picture = shapely.box(0, 0, width, height)
    if word.fault:
        return Mended(_regions(MultiPoint(word.corners).envelope, picture), word.fault)
    corners = _without_repeats(word.corners)
    if len(corners) < 3:
        return Mended([], FEW)
    if not (outline := Polygon(corners)).is_valid:
        if MultiPoint(corners).convex_hull.area == 0:
            return Mended([], NO_AREA)
        corners = _reordered(corners)
        if not (outline := Polygon(corners)).is_valid:
            return Mended(_regions(shapely.make_valid(outline), picture), CROSSES)
    if picture.covers(outline):
        return Mended([_clockwise(corners)], "")
    return _clipped(outline, picture)


def _clipped(outline: Polygon, picture: Polygon) -> Mended:
    regions = _regions(outline, picture)
    if len(regions) == 1:
        return Mended(regions, "")
    return Mended(regions, IN_PIECES if regions else OUTSIDE)


def _without_repeats(corners: Corners) -> Corners:
    return tuple(
        corner for corner, before in zip(corners, corners[-1:] + corners[:-1], strict=True) if corner != before
    )


def _reordered(corners: Corners) -> Corners:
    """Four corners in the order of their convex hull, the first one first; as they are where they are no hull."""
    if len(corners) != 4:
        return corners
    hull = _ring(MultiPoint(corners).convex_hull)
    if len(hull) != 4:
        return corners
    first = hull.index(corners[0])
    return hull[first:] + hull[:first]


def _regions(shape: BaseGeometry, picture: Polygon) -> list[Corners]:
    """The parts of a shape that have an area in the picture; holes are filled."""
    inside = shape.intersection(picture)
    return [_clockwise(_ring(part)) for part in _polygons(inside) if part.area > 0]


def _polygons(shape: BaseGeometry) -> Iterator[Polygon]:
    for part in shapely.get_parts(shape):
        if isinstance(part, Polygon):
            yield part
        elif hasattr(part, "geoms"):
            yield from _polygons(part)


def _ring(shape: BaseGeometry) -> Corners:
    """The corners of a polygon's outline; none of another shape."""
    return tuple(shape.exterior.coords[:-1]) if isinstance(shape, Polygon) else ()


def _clockwise(corners: Corners) -> Corners:
    """The same outline, clockwise where y grows downwards, from the same corner."""
    return corners if signed_area(corners) > 0 else corners[:1] + corners[:0:-1]


def signed_area(corners: Corners) -> float:
    """Area of a simple outline, px²: positive where its corners run clockwise as the picture is seen."""
    following = corners[1:] + corners[:1]
    return sum(x * below - right * y for (x, y), (right, below) in zip(corners, following, strict=True)) / 2
