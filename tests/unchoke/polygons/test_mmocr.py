"""MMOCR's JSON gives the words of every picture, and an instance that is no polygon says why."""

import json

import pytest

from unchoke.polygons.mmocr import parse_mmocr


def data_of(*instances, **entry):
    return json.dumps({"metainfo": {}, "data_list": [{"img_path": "a.jpg", "instances": instances, **entry}]}).encode()


def word_of(instance):
    [[word]] = [entry.words for entry in parse_mmocr(data_of(instance))]
    return word


def test_images_and_words_are_read():
    polygon = {"polygon": [1, 2, 30, 2, 30, 40.5, 1, 40], "ignore": True, "text": "way"}
    [entry] = parse_mmocr(b"\xef\xbb\xbf" + data_of(polygon, {"bbox": [5, 6, 7, 9]}, height=720, width=1280))
    assert (entry.path, entry.height, entry.width) == ("a.jpg", 720, 1280)
    first, second = entry.words
    assert (first.corners, first.ignored, first.text) == (((1, 2), (30, 2), (30, 40.5), (1, 40)), True, "way")
    assert (second.corners, second.ignored) == (((5, 6), (7, 6), (7, 9), (5, 9)), False)
    assert (second.place, second.fault) == ("data_list[0].instances[1]", "")


@pytest.mark.parametrize("ignore", [True, False, 1, 0, None])
def test_ignore_is_true_or_false_or_a_number_that_says_so(ignore):
    word = word_of({"bbox": [1, 2, 3, 4], "ignore": ignore})
    assert (word.ignored, word.fault) == (bool(ignore), "")


def test_half_a_surrogate_pair_can_be_written():
    [entry] = parse_mmocr(data_of({"bbox": [1, 2, 3, 4], "text": "a\ud83db \U0001f600"}, img_path="\udfff.jpg"))
    assert (entry.path, entry.words[0].text) == ("\ufffd.jpg", "a\ufffdb \U0001f600")


def test_an_image_may_have_no_words_and_no_size():
    [entry] = parse_mmocr(data_of())
    assert (entry.words, entry.height, entry.width) == ([], 0, 0)


@pytest.mark.parametrize(
    ("instance", "fault"),
    [
        ({}, "no polygon"),
        ("word", "no polygon"),
        ({"polygon": "1 2 3"}, "no polygon"),
        ({"polygon": [1, 2, 3, 4, 5, 6, 7]}, "7 numbers, an odd count"),
        ({"polygon": [1, 2, 3, "4", 5, 6]}, "'4' among the numbers"),
        ({"polygon": [1, 2, 3, float("nan"), 5, 6]}, "'nan' among the numbers"),
        ({"polygon": [1, 2, 3, True, 5, 6]}, "'True' among the numbers"),
        ({"polygon": [1, 2, 10**400, 4, 5, 6]}, f"'1{'0' * 19}' among the numbers"),
        ({"bbox": [1, 2, 3]}, "a bbox of 3 numbers, where 4 were expected"),
        ({"bbox": [1, 2, 3, 4], "ignore": "false"}, "ignore 'false', where true or false was expected"),
    ],
)
def test_an_instance_that_is_no_polygon_says_why(instance, fault):
    assert word_of(instance).fault == fault


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "Expecting"),
        (b"[]", "no list 'data_list'"),
        (b'{"data_list": {}}', "no list 'data_list'"),
        (b'{"data_list": [{}]}', "has no 'img_path'"),
        (b'{"data_list": [{"img_path": "a", "instances": 3}]}', "is no list"),
    ],
)
def test_another_file_is_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        parse_mmocr(content)
