"""Heads over random splits: the mean and its interval by hand, splits that do not count, and what is said of them."""

import math
import re
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t
from small_results import LABEL, add_head, write_manifest

from unchoke.experiments.board import leaderboard
from unchoke.experiments.database import build_database
from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.store.tables import SPLIT_COLUMNS, table_bytes

SCRIPTS = Path(__file__).parents[3] / "scripts"
LACKS = "The test split lacks a class: 'bee'"


def wrong(count: int) -> np.ndarray:
    """Predictions of nine images of test, so many of them wrong."""
    return np.where(np.arange(9) < count, (LABEL + 1) % 3, LABEL)


def add_heads(results: Path) -> None:
    """`best` errs 0, 1 and 2 times of nine; `fails` 1 and 4 times, and cannot be tested on the third split."""
    for repeat in range(3):
        add_head(results, "best", val=0.9, predicted=wrong(repeat), repeat=repeat)
    add_head(results, "fails", predicted=wrong(1))
    add_head(results, "fails", predicted=wrong(4), repeat=1)
    add_head(results, "fails", repeat=2, metrics={}, images={}, failed=LACKS)


def build(results: Path, repeats: int = 3, metric: str = "accuracy") -> Path:
    write_manifest(results)
    build_database(results, results / "experiments.db", metric=metric, repeats=repeats)
    return results / "experiments.db"


def board(database: Path) -> dict[str, dict[str, Any]]:
    return {row["head"]: row for row in leaderboard(database)}


def test_the_mean_has_the_corrected_interval(tmp_path: Path) -> None:
    add_heads(tmp_path)
    row = board(build(tmp_path))["best"]
    reach = t.ppf(0.975, 2) * (1 / 9) * math.sqrt(1 / 3 + 9 / 5)  # 9 images of test, 5 of train
    assert (row["splits"], row["splits_counted"]) == (3, 3)
    assert (row["splits_mean"], row["splits_sd"]) == (pytest.approx(8 / 9), pytest.approx(1 / 9))
    assert (row["splits_low"], row["splits_high"]) == (pytest.approx(8 / 9 - reach), 1.0)
    assert row["splits_difference"] is None


def test_a_split_that_fails_is_listed_with_its_reason_and_does_not_count(tmp_path: Path) -> None:
    add_heads(tmp_path)
    database = build(tmp_path)
    row = board(database)["fails"]
    assert (row["splits"], row["splits_counted"]) == (3, 2)
    assert row["splits_mean"] == pytest.approx((8 / 9 + 5 / 9) / 2)
    # of the two splits that both have: -1/9 and -3/9
    difference = np.array([-1, -3]) / 9
    p = 2 * t.sf(2 / 9 / (difference.std(ddof=1) * math.sqrt(1 / 2 + 9 / 5)), 1)
    assert (row["splits_difference"], row["splits_p_value"]) == (pytest.approx(-2 / 9), pytest.approx(p))
    assert (row["splits_p_adjusted"], row["splits_told_apart"]) == (pytest.approx(p), 0)
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(
            "SELECT repeat, value, failed FROM split_repeats WHERE failed IS NOT NULL"
        ).fetchall()
    assert found == [(2, None, LACKS)]


def test_a_head_that_was_not_trained_on_a_split_does_not_count_there(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    add_head(tmp_path, "a", predicted=wrong(3), repeat=1)
    add_head(tmp_path, "a", predicted=wrong(3), repeat=2, version=0)
    row = board(build(tmp_path, repeats=4))["a"]  # 2 is of another version, 3 is not there
    assert (row["splits_counted"], row["splits_mean"]) == (2, pytest.approx(15 / 18))
    assert board(build(tmp_path, repeats=1))["a"]["splits"] is None


def test_few_shots_are_drawn_from_all_of_train(tmp_path: Path) -> None:
    settings = {"kind": "knn", "pool": "avg", "shots": 1}
    for repeat in range(2):
        add_head(
            tmp_path,
            "few",
            predicted=wrong(repeat),
            repeat=repeat,
            settings=settings,
            images={"train": 3, "val": 2, "test": 9},
        )
    (tmp_path / "repeats/1.csv").write_bytes(
        table_bytes(SPLIT_COLUMNS, enumerate(["train"] * 6 + ["val"] + ["test"] * 9))
    )
    with closing(sqlite3.connect(build(tmp_path, repeats=2))) as connection:
        found = connection.execute("SELECT train_images, test_images FROM split_repeats").fetchall()
    assert found == [(5, 9), (6, 9)]


def test_a_figure_that_is_not_known_does_not_count(tmp_path: Path) -> None:
    add_heads(tmp_path)  # whose AUROC is not known
    row = board(build(tmp_path, metric="auroc"))["best"]
    assert (row["splits_counted"], row["splits_mean"], row["splits_low"]) == (0, None, None)
    assert "split 0 does not count for 2 heads: auroc cannot be known" in leaderboard_text(tmp_path / "experiments.db")


def test_the_terminal_says_it_in_a_line_a_head(tmp_path: Path) -> None:
    add_heads(tmp_path)
    lines = leaderboard_text(build(tmp_path)).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("over 3 splits: mean ± sd of accuracy"))
    best, fails, warning = lines[place + 1 : place + 4]
    assert re.fullmatch(r"  tiny best   0\.8889 ± 0\.1111, 0\.\d{4} to 1\.0000; is the best on val", best)
    assert "0.7222 ± 0.2357" in fails and ", 2 of 3 splits count; -0.2222 (" in fails
    assert warning == f"warning: split 2 does not count for tiny fails: {LACKS}"
    assert "splits" not in leaderboard_text(build(tmp_path, repeats=1))


def test_the_table_of_the_report_has_it_too(tmp_path: Path) -> None:
    add_heads(tmp_path)
    draw = import_module("draw_leaderboard").main
    for repeats in (3, 1):
        files = ["--picture", str(tmp_path / "board.png"), "--table", str(tmp_path / f"{repeats}.html")]
        draw(["--database", str(build(tmp_path, repeats)), *files])
    page = (tmp_path / "3.html").read_text()
    assert "<th>over 3 splits</th>" in page and ">0.8889<" in page and LACKS.split(":")[0] in page
    assert "splits" not in (tmp_path / "1.html").read_text()
