"""What marks a row, and the medians of its rounds."""

import io
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.pipelines.table import Round, Row, csv_bytes, least_times, marks, medians

SECONDS = st.floats(0.01, 1e4)


@given(st.lists(st.tuples(SECONDS, SECONDS, SECONDS, SECONDS), min_size=3, max_size=3), st.integers(50, 5000))
def test_a_row_has_the_middle_round_and_the_most_memory(taken: list[tuple[float, ...]], images: int) -> None:
    found = medians([Round(*each) for each in taken], images)
    cold, warm, cpu, peak = (sorted(values) for values in zip(*taken, strict=True))
    assert (found["cold_s"], found["warm_s"], found["cpu_s"], found["peak_mb"]) == (cold[1], warm[1], cpu[1], peak[2])
    assert found["warm_images_per_s"] == pytest.approx(images / warm[1])
    assert found["cold_images_per_s"] == pytest.approx(images / cold[1])


@given(st.floats(-1, 1), st.floats(0, 1), st.integers(0, 9), st.integers(0, 9))
def test_a_row_is_marked_where_its_interval_leaves_0_out(low: float, width: float, bad: int, expected: int) -> None:
    found = marks(bad, expected, 0.5, low, low + width)
    assert ("its accuracy differs" in found) == (not low <= 0 <= low + width)
    assert any("unreadable" in text for text in found) == (bad != expected)


@pytest.mark.parametrize(("apart", "marked"), [(0.0, False), (1e-6, False), (0.1, True), (math.nan, True)])
def test_without_labels_only_the_same_features_are_comparable(apart: float, marked: bool) -> None:
    assert bool(marks(2, 2, apart, math.nan, math.nan)) == marked


def test_the_file_leaves_empty_what_is_not_known() -> None:
    rows = [
        Row("one", "a", warm_s=2, cold_s=4, warm_images_per_s=50.0, cold_images_per_s=25.0),
        Row("two", "", note="no"),
    ]
    frame = pd.read_csv(io.BytesIO(csv_bytes(rows)))
    assert frame["warm_images_per_s"].tolist()[0] == 50 and math.isnan(frame["warm_s"][1])
    assert [row.measured for row in rows] == [True, False] and frame["note"][1] == "no"
    assert rows[0].images_per_s == 25


def test_rounds_are_compared_one_by_one_by_their_slower_epochs() -> None:
    default = [Round(4, 2, 0, 0), Round(2, 8, 0, 0), Round(6, 6, 0, 0)]
    assert least_times([Round(2, 1, 0, 0), Round(4, 1, 0, 0), Round(1, 4, 0, 0)], default) == 1.5


@pytest.mark.parametrize(
    ("difference", "low", "told"),
    [
        (0.01, -0.02, "+0.0100 (-0.0200 to +0.0300)"),
        (0.0, math.nan, "+0.0000 (no interval: too few images of val)"),
        (math.nan, math.nan, "not known"),
    ],
)
def test_a_difference_without_an_interval_says_so(difference: float, low: float, told: str) -> None:
    assert Row("a", "", accuracy_difference=difference, low=low, high=0.03 if low == low else low).apart == told
