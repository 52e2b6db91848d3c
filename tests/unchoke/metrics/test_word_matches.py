"""Matches of words and detections against a plain double loop, and where both protocols part."""

from itertools import permutations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry import Polygon

from unchoke.metrics.word_matches import PROTOCOLS, Words, matches_of, overlaps_of

Corners = NDArray[np.float64]


def box(x0: float, y0: float, x1: float, y1: float) -> Corners:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def slanted(x: int, y: int, width: int, height: int, shift: int) -> Corners:
    return np.array([[x, y], [x + width, y + shift], [x + width, y + shift + height], [x, y + height]], np.float64)


apart = st.builds(
    slanted, st.integers(0, 6), st.integers(0, 6), st.integers(1, 6), st.integers(1, 6), st.integers(-1, 1)
)
crowded = st.builds(slanted, st.integers(0, 4), st.just(0), st.integers(4, 6), st.just(3), st.integers(0, 1))
polygons = apart | crowded
truths = st.lists(st.tuples(polygons, st.booleans()), max_size=5).map(
    lambda pairs: Words([corners for corners, _ in pairs], np.array([ignored for _, ignored in pairs], bool))
)
founds = st.lists(polygons, max_size=5)


def plain_pairs(words: Words, detections: list[Corners]) -> tuple[list[tuple[int, int]], list[int]]:
    """Pairs that can match, and the detections that count, without vectors and without bounding boxes."""
    truth, found = [Polygon(c) for c in words.polygons], [Polygon(c) for c in detections]
    ignored = [shape for shape, flag in zip(truth, words.ignored, strict=True) if flag]
    counted = [
        d for d, shape in enumerate(found) if not any(shape.intersection(i).area / shape.area > 0.5 for i in ignored)
    ]
    return [
        (w, d)
        for w, one in enumerate(truth)
        for d, other in enumerate(found)
        if not words.ignored[w] and d in counted
        if one.intersection(other).area / (one.area + other.area - one.intersection(other).area) > 0.5
    ], counted


def plain_greedy(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for w, d in pairs:
        if all(w != word and d != detection for word, detection in kept):
            kept.append((w, d))
    return kept


def most_pairs(pairs: list[tuple[int, int]]) -> int:
    """The most pairs without a common word or detection, by trying every order."""
    return max((len(plain_greedy(list(order))) for order in permutations(pairs)), default=0)


@given(truths, founds)
def test_matches_are_those_of_a_double_loop(words: Words, detections: list[Corners]) -> None:
    pairs, counted = plain_pairs(words, detections)
    overlaps = overlaps_of(words, detections)
    assert list(zip(overlaps.word_P, overlaps.detection_P, strict=True)) == pairs
    assert np.flatnonzero(overlaps.counted_D).tolist() == counted
    greedy = matches_of(overlaps, "icdar2015")
    assert list(zip(greedy.word_P, greedy.detection_P, strict=True)) == plain_greedy(pairs)
    if len(pairs) < 7:
        maximal = matches_of(overlaps, "maximal")
        assert len(maximal.word_P) == most_pairs(pairs)
        assert set(zip(maximal.word_P.tolist(), maximal.detection_P.tolist(), strict=True)) <= set(pairs)


@given(truths, founds, st.sampled_from(sorted(PROTOCOLS)))
def test_every_word_and_detection_that_counts_is_in_one_place(
    words: Words, detections: list[Corners], protocol: str
) -> None:
    overlaps = overlaps_of(words, detections)
    matches = matches_of(overlaps, protocol)
    assert sorted([*matches.word_P, *matches.missed]) == np.flatnonzero(~words.ignored).tolist()
    assert sorted([*matches.detection_P, *matches.false_alarms]) == np.flatnonzero(overlaps.counted_D).tolist()


upright = st.builds(slanted, st.integers(0, 4), st.just(0), st.integers(4, 6), st.just(3), st.just(0))  # exact areas


@given(st.lists(upright, max_size=5), st.lists(upright, max_size=5))
def test_maximal_matching_is_symmetric(one: list[Corners], other: list[Corners]) -> None:
    counts = [
        len(matches_of(overlaps_of(Words(a, np.zeros(len(a), bool)), b), "maximal").word_P)
        for a, b in ((one, other), (other, one))
    ]
    assert counts[0] == counts[1]


def test_greedy_words_come_in_their_order_and_take_their_first_detection() -> None:
    words = Words([box(4, 0, 14, 4), box(0, 0, 10, 4)], np.zeros(2, bool))
    found = [
        box(-2, 0, 8, 4),
        box(2, 0, 12, 4),
        box(3, 0, 13, 4),
    ]  # the last two suit both words, the first one the second
    greedy = matches_of(overlaps_of(words, found), "icdar2015")
    assert (greedy.word_P.tolist(), greedy.detection_P.tolist()) == ([0, 1], [1, 0])


def test_the_greedy_protocol_can_leave_a_word_without_its_only_detection() -> None:
    words = Words([box(0, 0, 10, 4), box(4, 0, 14, 4)], np.zeros(2, bool))
    found = [box(2, 0, 12, 4), box(-2, 0, 8, 4)]  # the first suits both words, the second the first word alone
    overlaps = overlaps_of(words, found)
    greedy, maximal = (matches_of(overlaps, name) for name in ("icdar2015", "maximal"))
    assert (greedy.word_P.tolist(), greedy.detection_P.tolist()) == ([0], [0])
    assert (greedy.missed.tolist(), greedy.false_alarms.tolist()) == ([1], [1])
    assert (maximal.word_P.tolist(), maximal.detection_P.tolist()) == ([0, 1], [1, 0])


@pytest.mark.parametrize(("right", "counts"), [(10, False), (9, True)])
def test_a_detection_does_not_count_with_more_than_half_of_it_in_one_ignored_word(right: int, counts: bool) -> None:
    words = Words([box(0, 0, right, 4), box(right, 0, 12, 4)], np.ones(2, bool))
    assert overlaps_of(words, [box(0, 0, 18, 4)]).counted_D.tolist() == [counts]


def test_half_an_overlap_is_no_match() -> None:
    words = Words([box(0, 0, 8, 1)], np.zeros(1, bool))
    assert len(overlaps_of(words, [box(0, 0, 4, 1)]).word_P) == 0


def test_detections_below_a_score_are_not_there() -> None:
    words = Words([box(0, 0, 8, 4)], np.zeros(1, bool))
    overlaps = overlaps_of(words, [box(0, 0, 8, 4), box(0, 0, 8, 5)])
    matches = matches_of(overlaps, "icdar2015", np.array([False, True]))
    assert (matches.detection_P.tolist(), matches.false_alarms.tolist()) == ([1], [])


def test_what_has_no_area_counts_and_matches_nothing() -> None:
    nothing = box(3, 3, 3, 3)
    words = Words([nothing, nothing[:2], box(0, 0, 9, 9)], np.array([False, False, True]))
    matches = matches_of(overlaps_of(words, [nothing, nothing[:0]]), "maximal")
    assert (matches.missed.tolist(), matches.false_alarms.tolist()) == ([0, 1], [0, 1])


def test_no_shape_is_cut_with_one_that_lies_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = []
    monkeypatch.setattr(
        shapely, "intersection", lambda a, b, real=shapely.intersection: cut.append(len(a)) or real(a, b)
    )
    row = [box(20 * place, 0, 20 * place + 10, 4) for place in range(50)]
    overlaps = overlaps_of(Words(row, np.zeros(50, bool)), row)
    assert (len(overlaps.word_P), cut) == (50, [50])
