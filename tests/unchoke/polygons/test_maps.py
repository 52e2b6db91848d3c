"""Maps of text hold what the papers say, worked out by hand, and a window of them is cut out of the picture's."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon

from unchoke.names import IGNORED
from unchoke.polygons.maps import OUTSIDE, Window, draw_maps, inside_of, target_of

BOX = ((10.0, 10.0), (110.0, 10.0), (110.0, 40.0), (10.0, 40.0))  # 100 × 30
HEIGHT, WIDTH = 60, 130
WHOLE = Window(0, 0, HEIGHT, WIDTH)
DISTANCE = 100 * 30 * (1 - 0.4**2) / (2 * (100 + 30))


def drawn(*targets, window=WHOLE):
    return draw_maps(targets, window, HEIGHT, WIDTH)


def test_a_box_shrinks_as_worked_out_by_hand():
    target = target_of(BOX, ignored=False)
    assert target.distance_px == pytest.approx(9.6923, abs=5e-5) == DISTANCE
    [kernel] = map(Polygon, target.kernels)
    left, upper, right, lower = kernel.bounds
    assert (right - left, lower - upper) == pytest.approx((80.62, 10.62), abs=5e-3)
    assert kernel.area == pytest.approx(855.76, abs=5e-3)


def test_the_kernel_of_a_box_holds_the_pixels_whose_centres_it_holds():
    kernels_HW = drawn(target_of(BOX, ignored=False)).kernels_HW
    by_hand_HW = np.zeros((HEIGHT, WIDTH), np.uint8)
    by_hand_HW[20:30, 20:100] = 1  # 19.69 to 30.31, 19.69 to 100.31
    np.testing.assert_array_equal(kernels_HW, by_hand_HW)


def test_the_threshold_falls_from_the_outline_on_both_sides_and_stays_low_within():
    threshold_HW = drawn(target_of(BOX, ignored=False)).threshold_HW
    column = threshold_HW[:, 60] / 255
    for row in range(HEIGHT):
        distance = min(abs(row + 0.5 - 10), abs(row + 0.5 - 40))
        outside = (row + 0.5 < 10 or row + 0.5 > 40) and distance > DISTANCE
        expected = 1 if outside else 0.7 - 0.4 * min(1, distance / DISTANCE)
        assert column[row] == pytest.approx(expected, abs=0.5 / 255 + 1e-9), row
    assert threshold_HW[25, 60] / 255 == pytest.approx(0.3, abs=0.5 / 255 + 1e-9)  # 15 px from the outline


def test_an_outline_that_falls_into_parts_keeps_all_of_them():
    # Two 40 × 40 squares with a bridge of 40 × 4 between them: A 3,360, L 392, d 7.2.
    bridge = (
        (0, 0),
        (40, 0),
        (40, 18),
        (80, 18),
        (80, 0),
        (120, 0),
        (120, 40),
        (80, 40),
        (80, 22),
        (40, 22),
        (40, 40),
        (0, 40),
    )
    target = target_of(tuple((float(x), float(y)) for x, y in bridge), ignored=False)
    assert target.distance_px == pytest.approx(3360 * 0.84 / 392)
    assert [Polygon(kernel).area for kernel in target.kernels] == pytest.approx([(40 - 2 * 7.2) ** 2] * 2, rel=1e-3)
    kernels_HW = drawn(target).kernels_HW
    assert kernels_HW[20, 20] == kernels_HW[20, 100] == 1 and kernels_HW[20, 60] == 0


@pytest.mark.parametrize("changes", [{"ignored": True}, {"ignored": False, "smallest_px": 30.5}])
def test_ignored_and_narrow_words_are_neither_text_nor_background(changes):
    maps = drawn(target_of(BOX, **changes))
    expected_HW = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected_HW[10:40, 10:110] = IGNORED
    np.testing.assert_array_equal(maps.kernels_HW, expected_HW)
    assert (maps.threshold_HW == OUTSIDE).all()


def test_an_ignored_word_hides_the_kernel_beneath():
    maps = drawn(target_of(BOX, ignored=False), target_of((BOX[0], (60, 10), (60, 40), BOX[3]), ignored=True))
    assert (maps.kernels_HW[25, 30], maps.kernels_HW[25, 80]) == (IGNORED, 1)


def test_where_words_meet_the_larger_threshold_counts():
    beside = tuple((x, y + 32) for x, y in BOX)
    both = drawn(*(target_of(box, ignored=False) for box in (BOX, beside))).threshold_HW
    alone = [drawn(target_of(box, ignored=False)).threshold_HW for box in (BOX, beside)]
    larger_HW = np.maximum(*(np.where(map_HW == OUTSIDE, 0, map_HW) for map_HW in alone))
    np.testing.assert_array_equal(both, np.where(larger_HW == 0, OUTSIDE, larger_HW))


@pytest.mark.parametrize(("smallest_px", "learnt"), [(29.99, True), (30.01, False)])
def test_a_turned_word_is_learnt_if_its_height_is_the_smallest_or_more(smallest_px, learnt):
    turn = np.array([[math.cos(1), math.sin(1)], [-math.sin(1), math.cos(1)]])
    turned = tuple(map(tuple, (np.array(BOX) @ turn).tolist()))
    assert bool(target_of(turned, ignored=False, smallest_px=smallest_px).kernels) == learnt


def test_nothing_is_known_beyond_the_picture():
    maps = drawn(target_of(BOX, ignored=False), window=Window(30, 100, 64, 64))
    inside = np.s_[: HEIGHT - 30, : WIDTH - 100]
    outside_HW = np.ones((64, 64), bool)
    outside_HW[inside] = False
    assert (maps.kernels_HW[outside_HW] == IGNORED).all() and (maps.threshold_HW[outside_HW] == OUTSIDE).all()
    assert (maps.kernels_HW[inside] != IGNORED).all() and (maps.threshold_HW[inside] != OUTSIDE).any()


coordinate = st.floats(-5, 90, allow_nan=False)
outlines = (
    st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=7)
    .map(lambda corners: shapely.convex_hull(shapely.MultiPoint(corners)))
    .filter(lambda hull: hull.geom_type == "Polygon" and hull.area > 1)
    .map(lambda hull: tuple(hull.exterior.coords[:-1]))
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(outlines, st.booleans()), max_size=4),
    st.builds(Window, st.integers(0, 80), st.integers(0, 80), st.integers(1, 64), st.integers(1, 64)),
)
def test_the_maps_of_a_window_are_those_of_the_picture_cut_out(words, window):
    targets = [target_of(outline, ignored, smallest_px=4) for outline, ignored in words]
    whole = draw_maps(targets, Window(0, 0, 150, 150), 90, 85)
    maps = draw_maps(targets, window, 90, 85)
    cut = np.s_[window.y0 : window.y0 + window.height, window.x0 : window.x0 + window.width]
    np.testing.assert_array_equal(maps.kernels_HW, whole.kernels_HW[cut])
    np.testing.assert_array_equal(maps.threshold_HW, whole.threshold_HW[cut])


@settings(deadline=None)
@given(outlines)
def test_a_pixel_is_inside_where_its_centre_is(outline):
    found_HW = np.zeros((96, 96), bool)
    inside_hw, place = inside_of([outline], Window(0, 0, 96, 96))
    found_HW[place] = inside_hw
    x_HW, y_HW = np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5)
    polygon = Polygon(outline)
    near_HW = shapely.distance(polygon.exterior, shapely.points(x_HW, y_HW)) < 1e-9
    np.testing.assert_array_equal(found_HW[~near_HW], shapely.contains_xy(polygon, x_HW, y_HW)[~near_HW])
