"""Durations, rates and counts in words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.progress.words import about, counted, duration, rate

UNITS = {"s": 1, "min": 60, "h": 3600}


def seconds_in(text: str) -> float:
    """The seconds that a text names, by its own words."""
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+) (s|min|h)\b", text))


@given(st.floats(0, 1e6))
def test_a_duration_names_its_seconds(seconds: float) -> None:
    allowed = 0.05 if seconds < 9.95 else 0.5 if seconds < 3600 else 30
    assert abs(seconds_in(duration(seconds)) - seconds) <= allowed + 1e-6


@given(st.floats(1, 1e6))
def test_about_is_within_a_third_of_the_truth_and_short(seconds: float) -> None:
    assert seconds_in(about(seconds)) == pytest.approx(seconds, rel=0.34)
    assert len(about(seconds)) <= 12


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (12000, "3 h 20 min")]
)
def test_durations_as_people_write_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_rates_and_counts_as_people_write_them() -> None:
    assert [rate(value, "images") for value in (0.418, 7.43, 1239.6)] == [
        "0.42 images/s",
        "7.4 images/s",
        "1,240 images/s",
    ]
    assert [counted(1, "patches"), counted(1, "jobs"), counted(1803, "images")] == ["1 patch", "1 job", "1,803 images"]
