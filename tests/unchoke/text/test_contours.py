"""Outlines enclose the pixels of a region, and grow by the offset that is worked out by hand."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from unchoke.text.contours import grown_polygon, grown_quadrilateral, outline

masks = st.tuples(st.integers(1, 8), st.integers(1, 8)).flatmap(lambda shape: arrays(np.bool_, shape))


@given(masks)
def test_an_outline_encloses_the_centres_of_its_pixels_alone(mask_HW: NDArray[np.bool_]) -> None:
    label_HW, count = label(mask_HW, np.ones((3, 3)))
    for number in range(1, count + 1):
        filled_HW = binary_fill_holes(label_HW == number)
        shape = shapely.polygons(outline(filled_HW))
        y_HW, x_HW = np.indices(mask_HW.shape) + 0.5
        assert shape.is_valid
        assert (shapely.contains_xy(shape, x_HW, y_HW) == filled_HW).all()


def test_a_rectangle_grows_by_its_area_times_the_ratio_over_its_perimeter() -> None:
    corners = grown_quadrilateral(shapely.polygons(outline(np.ones((10, 40), bool))), 1.5)
    offset = 10 * 40 * 1.5 / 100
    expected = [(-offset, -offset), (40 + offset, -offset), (40 + offset, 10 + offset), (-offset, 10 + offset)]
    np.testing.assert_allclose(corners, expected, atol=1e-4)


@pytest.mark.parametrize("angle", [0, 12, 30, 45, 77])
def test_a_turned_word_is_found_at_its_angle(angle: int) -> None:
    turned = shapely.affinity.rotate(shapely.box(60, 70, 140, 90), angle)
    y_HW, x_HW = np.indices((200, 200)) + 0.5
    shape = shapely.polygons(outline(shapely.contains_xy(turned, x_HW, y_HW)))
    for grown in (grown_quadrilateral(shape, 1.5), grown_polygon(shape, 1.5)):
        expected = turned.buffer(80 * 20 * 1.5 / 200, join_style="mitre")
        found = shapely.polygons(grown)
        assert found.is_valid
        assert found.intersection(expected).area / found.union(expected).area > 0.93
        assert grown.sum(1).argmin() == 0
        assert not shapely.is_ccw(shapely.linearrings(grown * (1, -1)))  # clockwise as one sees it


def test_a_curved_word_keeps_its_curve_as_a_polygon() -> None:
    y_HW, x_HW = np.indices((120, 220)) + 0.5
    radius_HW = np.hypot(x_HW - 110, y_HW - 110)
    arc_HW = (radius_HW > 80) & (radius_HW < 95) & (y_HW < 90)
    shape = shapely.polygons(outline(arc_HW))
    grown = shapely.polygons(grown_polygon(shape, 0.0))
    assert grown.intersection(shape).area / grown.union(shape).area > 0.9
    assert 6 < len(shapely.get_coordinates(grown)) < 40
    assert shapely.polygons(grown_quadrilateral(shape, 0.0)).area > 2 * shape.area
