"""Polygons of any corners become valid shapes, and heights are those of turned rectangles."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from unchoke.metrics.shapes import heights_px, shapes_of

corners = st.integers(0, 7).flatmap(
    lambda count: arrays(np.float64, (count, 2), elements=st.sampled_from([0.0, 1.0, 5.0, 7.5, np.nan, np.inf]))
)


@given(st.lists(corners, max_size=4))
def test_any_corners_give_a_valid_shape(polygons: list[NDArray[Any]]) -> None:
    shape_P = shapes_of(polygons)
    assert len(shape_P) == len(polygons) and shapely.is_valid(shape_P).all()
    assert (shapely.get_dimensions(shape_P[~shapely.is_empty(shape_P)]) == 2).all()
    assert np.isfinite(heights_px(shape_P)).all()


def test_a_polygon_that_crosses_itself_encloses_both_its_parts() -> None:
    bow = np.array([[0, 0], [4, 4], [4, 0], [0, 4]])  # two triangles of 4 px², which meet at (2, 2)
    assert shapely.area(shapes_of([bow])).tolist() == [8]


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 130])
def test_the_height_of_a_word_does_not_depend_on_its_direction(angle: int) -> None:
    turn = np.exp(1j * np.deg2rad(angle)) * np.array([0, 40, 40 + 11j, 11j])
    [height] = heights_px(shapes_of([np.stack([turn.real, turn.imag], 1)]))
    assert height == pytest.approx(11)


def test_what_has_no_area_has_no_height() -> None:
    line = np.array([[0, 0], [4, 4], [9, 9]])
    assert heights_px(shapes_of([line, line[:2], line[:0]])).tolist() == [0, 0, 0]
