"""Outlines are mended where there is one answer; all others are named, and their place is no background."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.polygons.mend import CROSSES, IN_PIECES, NO_AREA, OUTSIDE, mend, signed_area
from unchoke.polygons.word import FEW, Word

BOX = ((10, 10), (90, 10), (90, 40), (10, 40))
HEIGHT, WIDTH = 60, 100


def word_of(*corners, fault=""):
    return Word(tuple(corners), "", False, "line 1", fault)


def mended(*corners, fault=""):
    return mend(word_of(*corners, fault=fault), HEIGHT, WIDTH)


def area(outline):
    return signed_area(outline)


def test_a_sound_outline_stays_as_it_is():
    assert mended(*BOX) == ([BOX], "")


@pytest.mark.parametrize("corners", [(*BOX, BOX[0]), (BOX[0], *BOX), (*BOX[:2], BOX[1], *BOX[2:])])
def test_a_repeated_corner_is_dropped(corners):
    [outline], reason = mended(*corners)
    assert sorted(outline) == sorted(BOX) and (area(outline), reason) == (80 * 30, "")


def test_an_outline_is_made_clockwise_from_its_first_corner():
    assert mended(BOX[0], *BOX[:0:-1]) == ([BOX], "")


def test_what_lies_beyond_the_picture_is_cut_off():
    [outline], reason = mended((-10, 50), (20, 50), (20, 75), (-10, 75))
    assert (set(outline), reason) == ({(0, 50), (20, 50), (20, 60), (0, 60)}, "")


def test_the_picture_reaches_to_the_far_border_of_its_last_pixel():
    assert mended((0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)).reason == ""


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 1, 3, 2), (0, 2, 3, 1)])
def test_a_quadrilateral_that_crosses_itself_is_put_in_order(order):
    [outline], reason = mended(*(BOX[place] for place in order))
    assert (outline, reason) == (BOX, "")


@pytest.mark.parametrize(
    ("corners", "reason", "areas"),
    [
        ([], FEW, []),
        (BOX[:2], FEW, []),
        ((BOX[0], BOX[1], BOX[0], BOX[1]), NO_AREA, []),
        (((5, 5), (10, 10), (20, 20), (15, 15)), NO_AREA, []),
        (((200, 10), (290, 10), (290, 40), (200, 40)), OUTSIDE, []),
        (((100, 10), (190, 10), (190, 40), (100, 40)), OUTSIDE, []),
        (((10, 10), (90, 10), (10, 50), (90, 50), (95, 30)), CROSSES, None),
        # A horseshoe whose two ends alone are in the picture: 2 × 10 × 10 px².
        (((90, 10), (120, 10), (120, 50), (90, 50), (90, 40), (110, 40), (110, 20), (90, 20)), IN_PIECES, [100, 100]),
    ],
)
def test_other_faults_are_named_and_their_area_is_ignored(corners, reason, areas):
    outlines, found = mended(*corners)
    assert found == reason
    assert areas is None or [area(outline) for outline in outlines] == areas
    assert areas is not None or sum(map(area, outlines)) > 0


def test_the_place_of_a_word_of_which_a_corner_is_missing_is_the_box_of_the_others():
    [outline], reason = mended(*BOX[:3], fault="7 numbers")
    assert (set(outline), reason) == (set(BOX), "7 numbers")


numbers = st.one_of(st.integers(-20, 120), st.floats(-1e9, 1e9, allow_nan=False))


@given(st.lists(st.tuples(numbers, numbers), max_size=9))
def test_every_outline_that_comes_out_is_clockwise_and_within_the_picture(corners):
    outlines, reason = mended(*corners)
    assert reason or len(outlines) == 1
    for outline in outlines:
        assert area(outline) > 0
        assert all(-1e-6 <= x <= WIDTH + 1e-6 and -1e-6 <= y <= HEIGHT + 1e-6 for x, y in outline)
