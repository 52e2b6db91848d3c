"""A wrong name is answered with the nearest right one."""

import pytest

from unchoke.names import SPLITS, nearest, suggestion

KEYS = ["chunk_size", "dataset", "decoding", "encoders"]


@pytest.mark.parametrize(
    ("wrong", "right"), [("chunksize", "chunk_size"), ("datset", "dataset"), ("encoder", "encoders")]
)
def test_a_misspelt_name_is_answered_with_the_right_one(wrong, right):
    assert nearest(wrong, KEYS, count=1) == [right]
    assert suggestion(wrong, KEYS) == f"did you mean '{right}'?"


def test_a_name_like_none_is_answered_with_all_of_them():
    assert nearest("xyz", KEYS) == []
    assert suggestion("xyz", KEYS) == "known are: chunk_size, dataset, decoding, encoders"


def test_suggestion_takes_names_that_can_be_read_once_only():
    assert suggestion("xyz", iter(SPLITS)) == "known are: train, val, test"
