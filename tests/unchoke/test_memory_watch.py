"""The watch over resident memory: it says what was taken, and ends what takes too much."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from unchoke import memory_watch
from unchoke.errors import UnchokeError
from unchoke.memory_watch import free_memory_mb, memory_watched, peak_memory_mb

MB = 2**20


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB


def hold_mb(total_mb: int, step_mb: int = 8) -> list[np.ndarray]:
    """Memory that is touched, step by step."""
    held = []
    for _ in range(total_mb // step_mb):
        held.append(np.ones(step_mb * MB, np.uint8))
        time.sleep(0.01)
    return held


def test_a_stage_within_its_budget_says_its_peak(capsys: pytest.CaptureFixture[str]) -> None:
    budget_mb = int(resident_mb()) + 400
    with memory_watched("a stage", budget_mb, "cleaning.memory_mb"):
        hold_mb(160)
    said = capsys.readouterr().out
    peak_mb = float(said.split()[1].replace(",", ""))
    assert f"of {budget_mb:,} MB (cleaning.memory_mb)" in said
    assert budget_mb - 400 + 120 < peak_mb < budget_mb


def test_a_stage_beyond_its_budget_is_ended_with_what_to_do() -> None:
    budget_mb = int(resident_mb()) + 100
    with pytest.raises(UnchokeError) as caught, memory_watched("a stage", budget_mb, "cleaning.memory_mb"):
        hold_mb(2000)
    assert f"at most {budget_mb:,} MB (cleaning.memory_mb)" in str(caught.value)
    assert resident_mb() < budget_mb + 500  # far from all that it wanted


def test_an_estimate_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with memory_watched("a stage", 1, "planned", binding=False):
        time.sleep(0.2)
    assert "of 1 MB (planned)" in capsys.readouterr().out


def test_the_machine_running_out_ends_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_watch, "free_memory_mb", lambda: 10.0)
    with pytest.raises(UnchokeError, match="nearly out of memory"), memory_watched("a stage", 10**6, "x"):
        time.sleep(10)


def test_a_key_on_the_keyboard_stays_what_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), memory_watched("a stage", 10**6, "x"):
        signal.raise_signal(signal.SIGINT)


def test_errors_of_the_stage_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), memory_watched("a stage", 10**6, "x"):
        1 / 0  # noqa: B018


def test_a_stage_that_does_not_listen_is_ended_all_the_same() -> None:
    """One long call into C, from which no exception can be raised, in a process of its own."""
    code = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as below `nohup snakemake … &`
from unchoke import memory_watch
memory_watch.GRACE_S = 0.2
import time
with memory_watch.memory_watched("a stage", 1, "cleaning.memory_mb"):
    time.sleep(60)
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: a stage needs more memory than it may take." in done.stderr
    assert time.monotonic() - started < 30


def test_what_is_free_is_not_more_than_the_machine_has() -> None:
    total_mb = int(Path("/proc/meminfo").read_text().split()[1]) / 1024
    assert 0 < free_memory_mb() < total_mb


def test_the_peak_is_at_least_what_is_resident() -> None:
    held = hold_mb(64)
    assert peak_memory_mb() >= resident_mb() - 1
    assert len(held) == 8


def test_limits_of_control_groups_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the groups around a process the one that leaves least, with pages of files that can be taken back."""
    root = tmp_path / "cgroup"
    inner = root / "job/step"
    inner.mkdir(parents=True)
    for folder, limit, used, cached in ((root / "job", 300 * MB, 250 * MB, 30 * MB), (inner, "max", 200 * MB, 0)):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    lines = tmp_path / "lines"
    lines.write_text("0::/job/step\n")
    names = ("memory.max", "memory.current", "inactive_file")
    monkeypatch.setattr(memory_watch, "_CONTROL_GROUPS", {"": (str(root), *names)})
    monkeypatch.setattr(memory_watch, "_GROUPS_OF_PROCESS", lines)
    assert free_memory_mb() == 80
