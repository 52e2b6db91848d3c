"""What the cell with an image's label says."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.cells import NO_NUMBER, cell_of, clean_cell, labels_in, number_in, wrong_cell


@pytest.mark.parametrize("text", ["n/a", "1,5", "inf", "-Infinity", "nan", "1_000", "1e101", "0x10", "two"])
def test_what_is_no_finite_number_is_said_and_kept(text: str) -> None:
    assert math.isnan(number_in(text))
    assert wrong_cell(text, "regression") == NO_NUMBER
    assert clean_cell(text, "regression") == text


@pytest.mark.parametrize(("text", "number"), [("3", 3), (" 3.50", 3.5), ("-1e-3", -0.001), ("007", 7), ("-0", 0)])
def test_numbers_are_read(text: str, number: float) -> None:
    assert number_in(text) == number
    assert wrong_cell(text, "regression") == ""


@given(st.floats(-1e100, 1e100))
def test_a_cleaned_number_is_the_same_number(number: float) -> None:
    assert number_in(clean_cell(repr(number), "regression")) == number


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("red;round", ["red", "round"]),
        (" round | red|red", ["red", "round"]),
        ("red;|;", ["red"]),
        (";", []),
        ("two words", ["two words"]),
    ],
)
def test_labels_stand_between_separators(text: str, labels: list[str]) -> None:
    assert labels_in(text) == labels
    assert labels_in(clean_cell(text, "multilabel")) == labels


def test_a_separator_alone_says_that_none_applies_and_an_empty_cell_says_nothing() -> None:
    assert clean_cell("|", "multilabel") == cell_of([]) == ";"
    assert clean_cell(" ", "multilabel") == clean_cell("", "multilabel") == ""
    assert [wrong_cell("", task) for task in ("regression", "multilabel")] == ["", ""]


def test_classes_stay_as_they_are() -> None:
    assert clean_cell("b;a", "classification") == "b;a"
    assert wrong_cell("n/a", "classification") == ""
