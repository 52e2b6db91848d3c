"""Readings of test: appended whole, never a hindrance."""

import multiprocessing
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from unchoke.experiments.readings import count_reading, read_readings, readings_text


def count_many(results: Path) -> None:
    for _ in range(50):
        count_reading(results, "print_leaderboard")


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    workers = [multiprocessing.get_context("fork").Process(target=count_many, args=(tmp_path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = read_readings(tmp_path)
    assert len(found) == 200
    assert {reading.command for reading in found} == {"print_leaderboard"}
    assert abs(datetime.fromisoformat(found[0].read_at) - datetime.now(UTC)).total_seconds() < 60
    assert found[0].host == os.uname().nodename


def test_a_line_that_was_cut_counts_as_unknown_and_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "readings.jsonl").write_bytes(b'{"command": "draw_lead')
    count_reading(tmp_path, "draw_leaderboard")
    cut, whole = read_readings(tmp_path)
    assert (cut.read_at, cut.command[:15], whole.command) == ("", "unreadable line", "draw_leaderboard")
    said = f"since {whole.read_at[:10]} by 1 user (draw_leaderboard 1, unreadable line 1)"
    assert readings_text([cut, whole]) == f"test was read 2 times {said}"


@pytest.mark.parametrize("place", ["no/such/folder", "link"])
def test_where_nothing_can_be_written_it_says_so_and_goes_on(tmp_path: Path, place: str, capsys: object) -> None:
    folder = tmp_path / place
    if place == "link":
        folder.mkdir()
        (folder / "readings.jsonl").symlink_to(tmp_path / "other")
    count_reading(folder, "print_leaderboard")
    assert "this reading of test is not counted" in capsys.readouterr().out  # type: ignore[attr-defined]
    assert not (tmp_path / "other").exists()
    assert read_readings(folder) == []
    assert readings_text([]) == ""
