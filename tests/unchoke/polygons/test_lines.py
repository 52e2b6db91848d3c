"""A text file a picture gives its words, whatever people write behind the numbers, and no line stops the reading."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.polygons.lines import parse_lines
from unchoke.polygons.word import FEW

QUAD = "10,10,90,10,90,40,10,40"
CORNERS = ((10, 10), (90, 10), (90, 40), (10, 40))
FIFTH = "5,20"


def only(text: str):
    [word] = parse_lines(text.encode())
    return word


@pytest.mark.parametrize(
    ("behind", "text"),
    [
        (",EXIT", "EXIT"),
        (",a, b, c", "a, b, c"),
        (',"quoted, ""twice"""', '"quoted, ""twice"""'),
        (",24", "24"),
        (",24,rue", "24,rue"),
        (",", ""),
        ("", ""),
        (",café\u2028au lait", "café\u2028au lait"),
    ],
)
def test_what_stands_behind_four_corners_is_the_transcription(behind, text):
    word = only(QUAD + behind)
    assert (word.corners, word.text, word.fault, word.ignored) == (CORNERS, text, "", False)


@pytest.mark.parametrize("behind", [",way", ",", ""])
def test_more_corners_are_read_too(behind):
    assert only(f"{QUAD},{FIFTH}{behind}").corners == (*CORNERS, (5, 20))


def test_numbers_are_the_transcription_where_other_lines_have_one():
    words = parse_lines(f"{QUAD},EXIT\n{QUAD},12,50\n{QUAD},{FIFTH},12,50\n".encode())
    assert [word.text for word in words] == ["EXIT", "12,50", "12,50"]
    assert [len(word.corners) for word in words] == [4, 4, 5]


@pytest.mark.parametrize("text", ["###", " ### ", '"###"'])
def test_unreadable_words_are_ignored(text):
    assert only(f"{QUAD},{text}").ignored


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_of_byte_order_and_line_ends_make_no_difference(end, encoding):
    words = parse_lines(end.join([f"{QUAD},Ärger", "", f"{QUAD},###", ""]).encode(encoding))
    assert [(word.corners, word.text, word.place) for word in words] == [
        (CORNERS, "Ärger", "line 1"),
        (CORNERS, "###", "line 3"),
    ]


def test_a_transcription_that_is_not_utf_8_is_no_hindrance():
    [word] = parse_lines(f"{QUAD},".encode() + b"\xe4")
    assert (word.corners, word.fault) == (CORNERS, "")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1,2,3,4,5,6,7,word", "7 numbers, then 'word', where at least 8 numbers were expected"),
        ("1,2,3,4,5,6,7", "7 numbers, where at least 8 numbers were expected"),
        ("1,2,3,4,5,6,7O,8,word", "6 numbers, then '7O', where at least 8 numbers were expected"),
        ("nan,2,3,4,5,6,7,8,word", "0 numbers, then 'nan', where at least 8 numbers were expected"),
        (f"{QUAD},l0,20,30,40,50,word", "'l0' among the numbers"),
        ("word", FEW),
        ("1,2,3,4,word", FEW),
    ],
)
def test_a_line_that_is_no_polygon_says_why(line, fault):
    good, word = parse_lines(f"{QUAD},EXIT\n{line}\n".encode())
    assert (good.fault, word.fault, word.place) == ("", fault, "line 2")


def test_seven_numbers_are_not_made_eight_by_a_transcription_of_digits():
    _, word = parse_lines(f"{QUAD},EXIT\n10,10,90,10,90,40,10,24\n".encode())
    assert word.fault == "8 numbers and no transcription, where other lines of the file have one"


def test_an_empty_file_has_no_words():
    assert parse_lines(b"") == parse_lines("\ufeff\r\n".encode()) == parse_lines("\r\n".encode("utf-16")) == []


@given(st.binary(max_size=200))
def test_no_bytes_stop_the_reading(data):
    with contextlib.suppress(ValueError):
        parse_lines(data)


MARKS = [b"", b"\xff\xfe", b"\xfe\xff"]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize(
    "data",
    [
        b"\0\x81binary",  # each pair is a letter
        np.random.default_rng(0).bytes(999),  # no multiple of two
        np.random.default_rng(1).bytes(1000),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x80\0\0\0\xa0\x08\2\0\0\0",
        bytes(range(256)),
    ],
)
def test_bytes_that_are_no_text_are_no_words_whatever_they_begin_with(data, mark):
    with pytest.raises(ValueError, match=r"^bytes that are no text") as caught:
        parse_lines(mark + data)
    assert ("UTF-16" in str(caught.value)) == bool(mark)


@pytest.mark.parametrize("mark", MARKS[1:])
def test_text_of_one_byte_a_letter_behind_the_mark_of_utf_16_is_no_text(mark):
    """Its pairs are letters of Chinese, one as good as the other."""
    with pytest.raises(ValueError, match="no text"):
        parse_lines(mark + f"{QUAD},EXIT\n{QUAD},word\n".encode())


@pytest.mark.parametrize("text", ["a\x07b", "\0", "出口", "caf\xe9"])
def test_a_strange_letter_makes_no_file_unreadable(text):
    data = f"{QUAD},EXIT\n{QUAD},".encode() + text.encode("latin-1" if text.isascii() else "gb18030")
    assert [word.fault for word in parse_lines(data)] == ["", ""]


@given(st.lists(st.integers(-99, 9999), min_size=8, max_size=28).filter(lambda numbers: len(numbers) % 2 == 0))
def test_numbers_that_are_written_come_back(numbers):
    word = only(f"{','.join(map(str, numbers))},word")
    assert [value for corner in word.corners for value in corner] == numbers
