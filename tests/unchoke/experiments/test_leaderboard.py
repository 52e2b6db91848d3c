"""The leaderboard of a terminal."""

import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from small_results import ENCODER, LABEL, add_head, write_manifest

from unchoke.errors import UnchokeError
from unchoke.experiments.board import leaderboard, readings_of
from unchoke.experiments.database import build_database
from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.experiments.parts import Asked
from unchoke.experiments.readings import read_readings

SCRIPTS = Path(__file__).parents[3] / "scripts"
HALF = np.where(np.arange(9) < 3, (LABEL + 1) % 3, LABEL)  # wrong three times of nine


def build(results: Path) -> Path:
    write_manifest(results)
    build_database(results, results / "experiments.db")
    return results / "experiments.db"


def test_the_best_on_val_stands_first_whatever_test_says(tmp_path: Path) -> None:
    for name, wrong, val in (("a", 5, 0.9), ("b", 0, 0.5), ("c", 2, 0.7)):
        add_head(tmp_path, name, val=val, predicted=np.where(np.arange(9) < wrong, (LABEL + 1) % 3, LABEL))
    board = [(row["head"], row["test_accuracy"]) for row in leaderboard(build(tmp_path))]
    assert board == [("a", pytest.approx(4 / 9)), ("c", pytest.approx(7 / 9)), ("b", 1)]


def test_a_line_says_what_was_chosen_how_good_how_sure_and_against_what(tmp_path: Path) -> None:
    add_head(tmp_path, "best", val=0.75, chosen={"learning_rate": 3e-4, "weight_decay": 0.0})
    add_head(tmp_path, "seeds", val=0.5, predicted=np.stack([HALF, LABEL]))
    text = leaderboard_text(build(tmp_path))
    header, rule, best, seeds, *notes = text.splitlines()
    names = "encoder head pool weights chosen val test 95 % interval sd balanced auroc against the best"
    assert " ".join(header.split()) == names
    assert set(rule) == {"-", " "}
    for part in ("learning_rate 0.0003, weight_decay 0", "0.7500", "1.0000", "0.9000 to 1.1000", "is the best on val"):
        assert part in best
    for part in ("k 3", "0.8333", "0.7333 to 0.9333", f"{np.std([6 / 9, 1], ddof=1):.4f}", "-0.1667 ("):
        assert part in seeds
    assert best.split("is the best")[0].split()[-1] == "-"  # auroc is not known
    assert seeds.index("0.5000") == best.index("0.7500") == header.index("val")
    assert "told apart: they differ after Holm's correction" in " ".join(notes)
    assert "told apart" not in seeds


TWO = {
    "val_label": np.array([0, 0, 1, 1]),
    "val_logits": np.stack([np.zeros(4), [-1, 2, 1, 3]], 1)[None],
    "test_label": LABEL % 2,  # 0 1 0 0 1 0 0 1 0
    "test_logits": np.stack([np.zeros(9), [1, 4, 3, -2, 1, 2, 0, 5, 0]], 1)[None],
}


def point_board(results: Path, **arrays: np.ndarray) -> Path:
    add_head(results, "a", classes=["ant", "bee"], arrays=TWO | arrays)
    write_manifest(results)
    build_database(results, results / "experiments.db", asked=Asked(0.95, "bee"))
    return results / "experiments.db"


def test_two_classes_are_read_at_a_threshold_of_val(tmp_path: Path) -> None:
    database = point_board(tmp_path)
    text = " ".join(leaderboard_text(database).split())
    (found, of), (rejected, others) = (2, 3), (5, 6)  # bees above 2: 4 and 5, not 1; an ant above 2: 3
    for name, hits, images in (("sensitivity to bee", found, of), ("specificity", rejected, others)):
        ends = binomtest(hits, images).proportion_ci(method="wilson")
        assert f"{name} {hits / images:.4f} ({ends.low:.4f} to {ends.high:.4f}) on test" in text
    assert "gives specificity 0.95 on val (2 negative images)" in text and "not known" not in text
    page = draw_board(database)
    assert "0.6667" in page and "0.8333" in page and "the share of bee that is found" in page


def test_why_a_sensitivity_is_not_known_is_said(tmp_path: Path) -> None:
    database = point_board(tmp_path, val_label=np.ones(4))
    for text in (leaderboard_text(database), draw_board(database)):
        assert "val has no negative image, so there is no threshold" in text


def test_boards_of_three_classes_say_nothing_of_thresholds(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    database = build(tmp_path)
    assert not [text for text in (leaderboard_text(database), draw_board(database)) if "threshold" in text]


def draw_board(database: Path) -> str:
    """The table of the report."""
    page = database.with_name("page.html")
    arguments = ["--database", database, "--picture", database.with_name("board.png"), "--table", page]
    import_module("draw_leaderboard").main(list(map(str, arguments)))
    return page.read_text()


def test_random_weights_are_said_to_be_a_floor_and_trained_ones_are_not(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    assert "its figures are a floor" in leaderboard_text(build(tmp_path))
    add_head(tmp_path, "a", encoder={**ENCODER, "trained": True})
    assert "floor" not in leaderboard_text(build(tmp_path))


def test_what_was_tested_on_other_images_is_not_compared(tmp_path: Path) -> None:
    add_head(tmp_path, "past", val=0.1, image_ids=list(range(7)), keep=list(range(7)))
    add_head(tmp_path, "now", val=0.9)
    lines = leaderboard_text(build(tmp_path)).splitlines()
    assert next(line for line in lines if " past " in line).endswith("no image in common")


def test_an_edge_of_the_grid_the_choice_on_val_and_warnings_are_said(tmp_path: Path) -> None:
    tried = {"penalty": [0.01, 1.0, 100.0], "val_score": [0.5, 0.4, 0.3]}
    add_head(tmp_path, "a", chosen={"penalty": 0.01}, history=tried, warnings=["not reached: C 1", "not reached: C 2"])
    text = leaderboard_text(build(tmp_path))
    assert "penalty 0.01 (edge of grid)" in text
    assert "the best of 3 trials of 1 heads" in text
    assert "warning: tiny a: not reached: C 1 (and 1 more)" in text
    assert "test was read" not in text


def test_each_command_that_shows_test_is_counted_and_a_copy_keeps_the_count(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    add_head(tmp_path, "a")
    write_manifest(tmp_path)
    flags = ["--database", str(tmp_path / "experiments.db")]
    for command, more in (("build_database", ["--results", str(tmp_path)]), ("print_leaderboard", [])):
        import_module(command).main([*flags, *more])
    database = tmp_path / "experiments.db"
    said = "test was read 2 times since {} by 1 user (build_database 1, print_leaderboard 1)"
    day = read_readings(tmp_path)[0].read_at[:10]
    assert said.format(day) in leaderboard_text(database)
    assert [reading.command for reading in readings_of(database)] == ["build_database"]
    database.unlink()
    import_module("build_database").main([*flags, "--results", str(tmp_path)])
    assert [reading.command for reading in readings_of(database)] == [
        *("build_database", "print_leaderboard", "build_database"),
    ]
    (tmp_path / "readings.jsonl").unlink()
    assert "test was read 3 times" in leaderboard_text(database)


def test_without_a_head_it_says_so(tmp_path: Path) -> None:
    assert leaderboard_text(build(tmp_path)) == "No head has been trained: the config names none."


def test_without_a_database_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)no database.*experiments\.db.*snakemake"):
        leaderboard_text(tmp_path / "experiments.db")


def test_a_database_of_another_version_says_how_to_build_it_again(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    with closing(sqlite3.connect(build(tmp_path))) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(UnchokeError, match=r"(?s)another version.*version 0.*experiments\.db.*snakemake"):
        leaderboard_text(tmp_path / "experiments.db")


@pytest.mark.parametrize("folder", ["100%20", "what?", "a#b", "größe 图"])
def test_a_folder_may_have_any_name(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    add_head(Path(folder), "a")
    assert [row["head"] for row in leaderboard(build(Path(folder)))] == ["a"]


def test_the_command_prints_it(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    add_head(tmp_path, "a")
    database = build(tmp_path)
    import_module("print_leaderboard").main(["--database", str(database)])
    assert capsys.readouterr().out.strip() == leaderboard_text(database).strip()
