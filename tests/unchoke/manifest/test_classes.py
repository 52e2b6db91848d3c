"""Classes: images by split, and the warnings of names that look misspelt."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.manifest.classes import class_warnings, count_classes, edit_distance
from unchoke.store.tables import MANIFEST_COLUMNS, frame_bytes

FINE = {"train": 40, "val": 9, "test": 9}
ALONE = {"train": 1, "val": 0, "test": 0}


def test_classes_are_counted_by_split_and_excluded_rows_are_not(tmp_path: Path) -> None:
    rows = [("b", "train", ""), ("b", "test", ""), ("a", "val", ""), ("a", "train", ""), ("a", "", "vanished")]
    frame = pd.DataFrame(
        [(n, f"{n}.png", label, split, "", 1, 1, why) for n, (label, split, why) in enumerate(rows)],
        columns=list(MANIFEST_COLUMNS),
    )
    (tmp_path / "m.csv").write_bytes(frame_bytes(frame, MANIFEST_COLUMNS))
    result = count_classes(tmp_path / "m.csv", tmp_path / "c.json")
    expected = {"a": {"train": 1, "val": 1, "test": 0}, "b": {"train": 1, "val": 0, "test": 1}}
    assert result["classes"] == expected and json.loads((tmp_path / "c.json").read_bytes()) == result
    assert result["warnings"] == [
        "class 'b' without an image in val: its figures do not speak of them",
        "class 'a' without an image in test: its figures do not speak of them",
    ]


@pytest.mark.parametrize(
    ("typo", "meant"), [("tow", "two"), ("Two", "two"), ("zerba", "zebra"), ("hipopotamus", "hippopotamus")]
)
def test_a_misspelt_class_of_one_image_names_the_one_that_is_meant(typo: str, meant: str) -> None:
    (said,) = class_warnings({"other": FINE, meant: FINE, typo: ALONE})
    assert said == f"class {typo!r} has 1 image; did you mean {meant!r} (58 images)?"


@pytest.mark.parametrize(("small", "large"), [("type1", "type2"), ("3", "8"), ("cat", "horse"), ("a", "b")])
def test_names_that_are_no_misspelling_are_not_taken_for_one(small: str, large: str) -> None:
    (said,) = class_warnings({large: FINE, small: ALONE})
    assert said == f"class {small!r} with 1 image: nothing is left to choose or to test with"


def test_a_small_class_beside_a_large_one_of_that_name_is_named_and_a_fair_one_is_not() -> None:
    few = {"train": 1, "val": 1, "test": 1}
    assert class_warnings({"two": {**FINE, "train": 400}, "tow": few}) == [
        "class 'tow' has 3 images; did you mean 'two' (418 images)?",
        "the classes are unbalanced: 418 images of 'two', 3 of 'tow'; balanced accuracy counts each class alike",
    ]
    assert not class_warnings({"two": FINE, "tow": FINE, "too": {"train": 5, "val": 1, "test": 1}})


def test_many_small_classes_are_one_line() -> None:
    (said,) = class_warnings({"large": FINE, **{f"{n:02}x": ALONE for n in range(20)}})
    assert said.startswith("20 classes ('00x', '01x', '02x', '03x', '04x', …) with 1 image")


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_edit_distance_is_symmetric_and_bounded(first: str, second: str) -> None:
    edits = edit_distance(first, second)
    assert edits == edit_distance(second, first)
    assert abs(len(first) - len(second)) <= edits <= max(len(first), len(second))
    assert (edits == 0) == (first == second)


@pytest.mark.parametrize(("first", "second", "edits"), [("tow", "two", 1), ("kitten", "sitting", 3), ("ca", "abc", 3)])
def test_edit_distances_worked_by_hand(first: str, second: str, edits: int) -> None:
    assert edit_distance(first, second) == edits
