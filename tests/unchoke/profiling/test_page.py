"""The page says what a reader needs to judge a profile; the table has the same figures."""

import csv
import io
from typing import Any

import pytest
from matplotlib.figure import Figure

from unchoke.profiling.draw import draw_profile
from unchoke.profiling.page import page, table
from unchoke.profiling.rounds import AGAIN, ALONE, WHOLE, judged

SECONDS = {
    WHOLE: [0.010, 0.010, 0.010],
    AGAIN: [0.010, 0.010, 0.010],
    ALONE: [0.012, 0.012, 0.012],
    "decode": [0.004, 0.004, 0.004],
    "JPEG draft": [0.005, 0.005, 0.005],
}


def profile(whole: list[float]) -> dict[str, Any]:
    found = judged({**SECONDS, WHOLE: whole}, {"decode": 0.006, "forward": 0.003}, {"JPEG draft": ("decode", "resize")})
    facts = {"images": 40, "threads": 2, "device": "cpu", "idle": {"waiting for input": 0.25}}
    slow = {"path": "a\x1b.jpg", "width": 400, "height": 300, "format": "JPEG", "bytes": 5000}
    slow |= {"seconds": 0.5, "times_median": 4.0, "step": "decode", "why": "4.0 × the pixels of the median image"}
    return {**found, **facts, "absent": {"crop": "it is not there"}, "slowest": [slow]}


def test_a_page_has_times_shares_gains_settings_slow_images_and_idle_time() -> None:
    said = page({"extraction": {"tiny": profile(SECONDS[WHOLE])}}).splitlines()
    assert said[0] == (
        "extraction of tiny: decode is the bottleneck; without it at most 2.50 × (100 to 250 images/s, ± 0.00); "
        "JPEG draft gives 2.00 × of that."
    )
    assert said[1] == "40 images, 3 rounds, 2 threads, cpu; 100 images/s, rounds differ by 0%"
    assert [line.split() for line in said[2:7]] == [
        ["step", "ms", "each", "share", "without", "it", "gain"],
        ["decode", "6.00", "50.0%", "250", "images/s", "2.50", "±", "0.00"],
        ["forward", "3.00", "25.0%", "-", "-"],
        ["rest", "3.00", "25.0%"],
        ["JPEG", "draft", "200", "images/s", "2.00", "±", "0.00"],
    ]
    assert said[7:] == [
        "  crop: none, since it is not there",
        "slowest images until they are tensors:",
        "  'a\\x1b.jpg': 500.0 ms, 4.0 × the median, most in decode; 400 × 300 px, JPEG, 5,000 bytes: "
        "4.0 × the pixels of the median image",
        "the card is idle: 25% waiting for input",
    ]


def test_rounds_that_differ_much_are_said_to_be_disturbed() -> None:
    assert "disturbs the measurement" in page({"extraction": {"tiny": profile([0.010, 0.020, 0.015])}})


def test_the_table_has_a_row_a_step_and_setting_with_nothing_where_nothing_was_measured() -> None:
    rows = list(csv.DictReader(io.StringIO(table({"training": {"tuned": profile(SECONDS[WHOLE])}}))))
    assert [(row["of"], row["name"], row["step"]) for row in rows] == [
        ("training", "tuned", step) for step in ("decode", "forward", "JPEG draft")
    ]
    assert float(rows[0]["saved_s"]) == pytest.approx(0.006)
    assert rows[1]["times"] == rows[2]["alone_s"] == ""


def test_a_profile_of_patches_counts_patches() -> None:
    of_patches = {**profile(SECONDS[WHOLE]), "unit": "patches"}
    said = page({"extraction": {"tiny": of_patches}}).splitlines()
    assert said[1].startswith("40 patches, 3 rounds") and "; 100 patches/s" in said[1]
    assert said[3].split()[-5:] == ["250", "patches/s", "2.50", "±", "0.00"]
    [axes] = draw_profile({"extraction": {"tiny": of_patches}, "training": {}}).axes
    assert (axes.get_xlabel(), "100 patches/s" in axes.get_title(loc="left")) == ("patches/s", True)


def test_a_step_has_the_setting_that_helps_it_most() -> None:
    remedies = {"JPEG draft": ("decode",), "simplejpeg": ("decode",)}
    for simplejpeg_s, said in ((0.008, "JPEG draft gives 2.00 ×"), (0.004, "simplejpeg gives 2.50 ×")):
        found = judged({**SECONDS, "simplejpeg": [simplejpeg_s] * 3}, {"decode": 0.006}, remedies)
        assert said in found["verdict"]


def test_the_figure_has_a_bar_a_gain_and_the_bottleneck_in_its_own_colour() -> None:
    figure = draw_profile({"extraction": {"tiny": profile(SECONDS[WHOLE])}, "training": {}})
    assert isinstance(figure, Figure)
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["decode", "JPEG draft"]
    first, second = axes.patches
    assert first.get_facecolor() != second.get_facecolor()
    assert (first.get_width(), second.get_width()) == pytest.approx((250, 200))  # type: ignore[attr-defined]
