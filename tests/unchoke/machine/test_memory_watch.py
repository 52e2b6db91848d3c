"""The watch over resident memory: it says what was taken, and ends what takes too much.

A watched stage is interrupted as by Ctrl-C, so each has a process of its own here.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from unchoke.machine import memory_watch
from unchoke.machine.memory_watch import free_memory_mb, peak_memory_mb

MB = 2**20
SETUP = """
import signal, sys, time
import numpy as np
from unchoke.machine import memory_watch
from unchoke.errors import UnchokeError
from unchoke.machine.memory_watch import memory_watched, peak_memory_mb

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell in the background takes away

def hold_mb(total_mb):
    held = []
    for _ in range(total_mb // 8):
        held.append(np.ones(8 * 2**20, np.uint8))
        time.sleep(0.01)
    return held
"""


def run(stage: str) -> tuple[int, str]:
    """Exit status and output of some lines in a process of their own."""
    done = subprocess.run([sys.executable, "-c", SETUP + stage], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB


def test_a_stage_within_its_budget_says_its_peak() -> None:
    status, said = run("""
print(f"before: {peak_memory_mb():.0f}")
with memory_watched("a stage", 700, "cleaning.memory_mb"):
    held = hold_mb(320)
    time.sleep(0.3)
""")
    assert status == 0
    before, peak = re.findall(
        r"before: (\d+)\nmemory: (\d+) MB resident at most, of 700 MB \(cleaning.memory_mb\)", said
    )[0]
    assert 250 < int(peak) - int(before) < 400


def test_a_stage_beyond_its_budget_is_ended_with_what_to_do() -> None:
    status, said = run("""
try:
    with memory_watched("a stage", 300, "cleaning.memory_mb"):
        hold_mb(4000)
except UnchokeError as error:
    print(f"{error}\\nin the end: {peak_memory_mb():.0f}")
""")
    assert status == 0
    assert "at most 300 MB (cleaning.memory_mb)" in said
    assert int(re.findall(r"in the end: (\d+)", said)[0]) < 1000  # far from all that it wanted


def test_an_estimate_ends_nothing() -> None:
    status, said = run("""
with memory_watched("a stage", 1, "planned", binding=False):
    time.sleep(0.2)
""")
    assert status == 0
    assert "of 1 MB (planned)" in said


def test_the_machine_running_out_ends_it_too() -> None:
    """Out of a sleep."""
    started = time.monotonic()
    status, said = run("""
memory_watch.free_memory_mb = lambda: 10.0
try:
    with memory_watched("a stage", 10**6, "planned", binding=False):
        time.sleep(50)
except UnchokeError as error:
    print(error)
""")
    assert status == 0
    assert "nearly out of memory" in said
    assert time.monotonic() - started < 40


def test_a_key_on_the_keyboard_stays_what_it_is() -> None:
    status, said = run("""
with memory_watched("a stage", 10**6, "x"):
    signal.raise_signal(signal.SIGINT)
""")
    assert status != 0
    assert "KeyboardInterrupt" in said


def test_errors_of_the_stage_pass_through() -> None:
    status, said = run("""
with memory_watched("a stage", 10**6, "x"):
    1 / 0
""")
    assert status == 1
    assert "ZeroDivisionError" in said


def test_a_stage_that_does_not_listen_is_ended_all_the_same() -> None:
    """One that is not reached by SIGINT, as below `nohup snakemake … &`."""
    started = time.monotonic()
    status, said = run("""
signal.signal(signal.SIGINT, signal.SIG_IGN)
memory_watch.GRACE_S = 0.2
with memory_watched("a stage", 1, "cleaning.memory_mb"):
    time.sleep(50)
""")
    assert status == 1
    assert "error: a stage needs more memory than it may take." in said
    assert time.monotonic() - started < 40


def test_what_is_free_is_not_more_than_the_machine_has() -> None:
    total_mb = int(Path("/proc/meminfo").read_text().split()[1]) / 1024
    assert 0 < free_memory_mb() < total_mb


def test_the_peak_is_at_least_what_is_resident() -> None:
    held = np.ones(64 * MB, np.uint8)
    assert peak_memory_mb() >= resident_mb() - 1 > held.nbytes / MB


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
