"""Labels on a map do not hide each other."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unchoke.report.embedding import draw_embedding
from unchoke.report.labels import parted

BOX = st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(5, 80), st.integers(5, 20))


def overlaps(one, other):
    return bool((np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]) > 1e-6).all())


@given(st.lists(BOX, max_size=10))
def test_no_box_lies_over_another_once_they_are_parted(boxes):
    extents = np.array([(x, y, x + width, y + height) for x, y, width, height in boxes], float).reshape(-1, 4)
    moved = extents + np.tile(parted(extents), 2)
    assert not [pair for pair in itertools.combinations(moved, 2) if overlaps(*pair)]


def test_boxes_that_are_apart_stay():
    extents = np.array([(0, 0, 10, 10), (20, 0, 30, 10), (0, 20, 10, 30)], float)
    assert not parted(extents).any()


def test_names_of_classes_at_one_place_can_be_read():
    place_N2 = np.random.default_rng(0).normal(size=(60, 2))
    figure = draw_embedding(place_N2, np.array([0.5, 0.2]), np.array(["ant", "bee", "cat"] * 20, object), "b0")
    figure.draw_without_rendering()
    [axes] = figure.axes
    boxes = [text.get_bbox_patch().get_window_extent().extents for text in axes.texts]
    assert len(boxes) == 3
    assert not [pair for pair in itertools.combinations(boxes, 2) if overlaps(*pair)]
