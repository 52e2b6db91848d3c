"""Words of a map by hand, what is no word, and a map in bands, which gives the same words bit by bit."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from unchoke.text import boxes
from unchoke.text.boxes import Found, Reading, boxes_of, boxes_of_bands


def drawn(*words: tuple[int, int, int, int, float]) -> NDArray[np.float32]:
    """A map of 60 × 120 px with rectangles: first row and column, height, width, probability."""
    map_HW = np.zeros((60, 120), np.float32)
    for y0, x0, height, width, probability in words:
        map_HW[y0 : y0 + height, x0 : x0 + width] = probability
    return map_HW


def test_a_word_by_hand() -> None:
    map_HW = drawn((20, 30, 10, 40, 0.9), (24, 40, 2, 5, 0.1))  # 400 px², of which a hole of 10 px²
    [box], left_out = boxes_of(map_HW, Reading())
    offset = 400 * 1.5 / 100
    corners = [(30 - offset, 20 - offset), (70 + offset, 20 - offset), (70 + offset, 30 + offset)]
    np.testing.assert_allclose(box.polygon[:3], corners, atol=1e-3)
    assert box.polygon.dtype == np.float64 and box.polygon.shape == (4, 2)
    assert box.score == pytest.approx((390 * 0.9 + 10 * 0.1) / 400)
    assert left_out == {}


def test_words_at_the_border_are_clipped_to_the_map() -> None:
    [box], _ = boxes_of(drawn((0, 0, 60, 120, 1.0)), Reading())
    assert box.polygon.tolist() == [[0, 0], [120, 0], [120, 60], [0, 60]]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ((20, 30, 10, 40, 0.5), "low score"),
        ((20, 30, 2, 40, 0.9), "too thin"),
        ((20, 30, 1, 4, 0.9), "too thin"),
        ((20, 30, 26, 40, 0.9), "too large"),
    ],
)
def test_what_is_no_word_is_counted_by_its_reason(word: tuple[int, int, int, int, float], reason: str) -> None:
    map_HW = drawn((3, 3, 5, 9, 1.0), word)
    found, left_out = boxes_of_bands([(0, map_HW)], Reading(), most_px=1000)
    assert (len(found), left_out) == (1, {reason: 1})


def test_beyond_the_most_words_the_best_are_kept_in_the_order_of_reading() -> None:
    map_HW = drawn((2, 80, 8, 20, 0.7), (2, 10, 8, 20, 0.9), (30, 10, 8, 20, 0.65), (30, 80, 8, 20, 0.8))
    found, left_out = boxes_of(map_HW, Reading(max_boxes=3))
    assert [round(box.score, 2) for box in found] == [0.9, 0.7, 0.8]
    assert left_out == {"beyond max_boxes": 1}


def test_no_more_than_twice_the_most_words_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        (4 * row, 6 * column, 3, 5, 0.6 + (7 * row + 3 * column) % 30 / 100)
        for row in range(15)
        for column in range(20)
    ]
    map_HW, held = drawn(*words), list[int]()
    everything = boxes_of(map_HW, Reading()).boxes
    best = boxes._best
    monkeypatch.setattr(boxes, "_best", lambda words, *args: [held.append(len(words)), best(words, *args)][1])
    few, left_out = boxes_of(map_HW, Reading(max_boxes=4))
    expected = sorted(range(300), key=lambda place: (-everything[place].score, place))[:4]
    assert [box.score for box in few] == [everything[place].score for place in sorted(expected)]
    assert left_out == {"beyond max_boxes": 296} and max(held) <= 9


def test_unread_pixels_are_no_text() -> None:
    map_HW = drawn((20, 30, 10, 40, 0.9))
    map_HW[:, 50:] = np.nan
    map_HW[22:24, 35:37] = np.nan  # a hole, which has no probability to add
    [box], _ = boxes_of(map_HW, Reading(unclip=0.0))
    np.testing.assert_allclose(box.polygon, [(30, 20), (50, 20), (50, 30), (30, 30)], atol=1e-3)
    assert box.score == pytest.approx(0.9)


def test_an_empty_map_has_no_words() -> None:
    assert boxes_of(drawn(), Reading()) == Found([], {})


def speckled(seed: int) -> NDArray[np.float32]:
    """Blots, some with holes, of which many touch each other."""
    noise_HW = gaussian_filter(np.random.default_rng(seed).normal(size=(90, 70)), (1.5, 3))
    return (1 / (1 + np.exp(-6 * noise_HW / noise_HW.std()))).astype(np.float32)


@given(
    st.integers(0, 50), st.lists(st.integers(1, 40), min_size=1, max_size=5), st.booleans(), st.sampled_from([3, 99])
)
def test_bands_give_the_words_of_the_whole_map(seed: int, heights: list[int], polygons: bool, most: int) -> None:
    map_HW = speckled(seed)
    reading = Reading(0.4, 0.5, polygons=polygons, max_boxes=most)
    edges = [0, *np.cumsum(heights * (90 // sum(heights) + 1))]
    bands = [(start, map_HW[start:stop]) for start, stop in pairwise(edges) if start < 90]
    whole, parts = boxes_of(map_HW, reading), boxes_of_bands(bands, reading)
    assert whole.boxes and whole.left_out == parts.left_out
    assert [box.score for box in whole.boxes] == [box.score for box in parts.boxes]
    for one, other in zip(whole.boxes, parts.boxes, strict=True):
        np.testing.assert_array_equal(one.polygon, other.polygon)
