"""Maps of features as data for the browser."""

import json

import numpy as np

from unchoke.page.maps import Points, draw_map


def points_of(labels):
    count = len(labels)
    place_N2 = np.random.default_rng(0).normal(size=(count, 2))
    paths = [f"{place}.png" for place in range(count)]
    return Points(place_N2, np.array([0.5, 0.25]), range(count), labels, ["test"] * count, paths, [""] * count)


def source_of(item):
    """The data of the dots."""
    found = []

    def search(node):
        if isinstance(node, dict):
            if node.get("name") == "ColumnDataSource":
                found.append(dict(node["attributes"]["data"]["entries"]))
            for value in node.values():
                search(value)
        elif isinstance(node, list):
            for value in node:
                search(value)

    search(item)
    return found[0]


def test_the_same_points_give_the_same_bytes_whatever_was_drawn_before():
    first, second = (json.dumps(draw_map(points_of(["ant", "bee"] * 3))) for _ in range(2))
    assert first == second


def test_names_that_look_like_ids_or_are_no_utf8_stay():
    labels = ["p1001", "m1", '"id": "p1002"', "\udcff"]
    data = source_of(draw_map(points_of(labels)))
    assert data["label"] == [*labels[:3], "\ufffd"]


def test_classes_beyond_the_most_frequent_are_grey_and_called_others():
    labels = [f"{place:02}" for place in range(30) for _ in range(1 + (place < 21))]
    data = source_of(draw_map(points_of(labels)))
    assert set(data["legend"]) == {"other classes", *(f"{place:02}" for place in range(21))}
    looks = {(colour, shape) for colour, shape in zip(data["colour"], data["shape"], strict=True)}
    assert len(looks) == 22
