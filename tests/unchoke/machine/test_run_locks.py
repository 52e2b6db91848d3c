"""Locks of dead runs are told from those of living ones, and removed with what their jobs have left."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from unchoke.machine import run_locks
from unchoke.machine.run_locks import (
    Holder,
    held_error,
    holder_of,
    is_dead,
    living_locks,
    remove_dead_locks,
    run_name,
    this_run,
    turn,
)

HERE = Holder("host", "machine", "boot", "pids", os.getpid(), "1", "now", flock=True, cluster=False)
GONE = 2**22 + 1  # above the highest process id of Linux
LOCK = """
import sys, time
from pathlib import Path
from unchoke.machine.run_locks import hold, this_run
lock = Path(sys.argv[1])
lock.write_text(this_run(flock=True, cluster=False).line + "\\nresults/a.csv\\n")
hold(lock)
print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def run_with(lock: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds a lock file as a run does."""
    with subprocess.Popen([sys.executable, "-c", LOCK, str(lock)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None and run.stdout.readline() == "ready\n"
        try:
            yield run
        finally:
            run.kill()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "0.output.lock"


# --- who is dead


def test_a_living_run_keeps_its_lock_and_is_named(lock: Path) -> None:
    with run_with(lock) as run:
        assert remove_dead_locks(lock.parent) == []
        assert list(living_locks(lock.parent)) == [lock]
        assert f"process {run.pid} on" in str(held_error(lock.parent))


def test_the_lock_of_a_killed_run_is_removed_with_one_sentence(lock: Path) -> None:
    with run_with(lock) as run:
        run.kill()
        os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOWAIT)  # a zombie, as under a parent that does not look
        (sentence,) = remove_dead_locks(lock.parent)
        assert f"process {run.pid} on" in sentence
    assert not lock.exists()


def test_a_lock_that_names_nobody_stays(lock: Path) -> None:
    """That of another workflow, of an older release, or one that was cut short."""
    for text in ("results/a.csv\n", "#unchoke {}\nresults/a.csv\n", "#unchoke {\n", "\0" * 64):
        lock.write_text(text)
        assert holder_of(lock) is None
        assert remove_dead_locks(lock.parent) == []
        assert lock.exists()


def test_another_process_with_the_number_of_a_dead_one_is_not_it(lock: Path) -> None:
    here = this_run(flock=True, cluster=False)
    assert not is_dead(here, here, free=True)
    assert is_dead(replace(here, started="0"), here, free=True)


@pytest.mark.parametrize(
    ("change", "free", "dead"),
    [
        ({"pid": GONE}, True, True),
        ({"pid": GONE}, False, False),  # somebody holds it all the same
        ({"pid": GONE}, None, False),  # nobody knows whether the lock of a run that took one is free
        ({"pid": GONE, "flock": False}, None, True),
        ({"pid": GONE, "cluster": True}, True, False),  # its submissions may go on
        ({"boot": "before"}, True, True),  # a power cut
        ({"boot": "before"}, False, False),
        ({"boot": "before", "host": "other"}, True, False),  # another machine that shares the folder
        ({"boot": "before", "machine": "other"}, True, False),  # another machine of the same name
        ({"boot": "before", "machine": ""}, True, False),
        ({"boot": ""}, True, False),
        ({"namespace": "other", "pid": GONE}, True, True),  # a container of this machine
        ({"namespace": "other", "pid": GONE}, False, False),
        ({"namespace": "other", "pid": GONE, "flock": False}, None, False),
    ],
)
def test_only_what_is_certain_counts_as_dead(change: dict[str, object], free: bool | None, dead: bool) -> None:
    assert is_dead(replace(HERE, **change), HERE, free) == dead  # type: ignore[arg-type]


def test_a_system_that_has_no_identity_of_its_kernel_proves_nothing() -> None:
    unknown = replace(HERE, boot="", pid=GONE)
    assert not is_dead(unknown, unknown, free=True)


def test_a_held_lock_stays_whatever_its_text_says(lock: Path) -> None:
    lock.write_text(replace(this_run(flock=True, cluster=False), pid=GONE).line + "\n")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert remove_dead_locks(lock.parent) == []
    assert len(remove_dead_locks(lock.parent)) == 1


# --- what its jobs have left


def test_jobs_of_a_dead_run_are_stopped_and_others_are_not(lock: Path) -> None:
    dead = replace(this_run(flock=True, cluster=False), pid=GONE)
    lock.write_text(dead.line + "\n")
    with started_for(dead) as orphan, started_for(replace(dead, started="2")) as other:
        (sentence,) = remove_dead_locks(lock.parent)
        assert "1 processes of its jobs are stopped" in sentence
        assert not psutil.pid_exists(orphan.pid)
        assert psutil.pid_exists(other.pid)


@contextmanager
def started_for(holder: Holder) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, run_locks.RUN_VARIABLE: holder.run}
    with subprocess.Popen(["sleep", "600"], env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


# --- one after the other


def test_a_child_of_a_run_does_not_inherit_its_lock(lock: Path) -> None:
    lock.write_text("results/a.csv\n")
    handle = run_locks.hold(lock)
    assert not os.get_inheritable(handle)
    assert run_locks._is_free(lock) is False
    os.close(handle)
    assert run_locks._is_free(lock) is True


def test_runs_look_for_locks_in_turn(tmp_path: Path) -> None:
    with turn(tmp_path / "turn") as works, (tmp_path / "turn").open() as file:
        assert works
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_run_that_waits_for_its_turn_says_for_whom(tmp_path: Path) -> None:
    code = "import sys, pathlib, unchoke.machine.run_locks as locks\nwith locks.turn(pathlib.Path(sys.argv[1])): pass"
    with turn(tmp_path / "turn"):
        command = [sys.executable, "-c", code, str(tmp_path / "turn")]
        other = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = other.stderr.readline()  # type: ignore[union-attr]
    assert line.startswith(f"waiting: for the locks in {tmp_path}, since 20")
    assert f"process {os.getpid()}, looks" in line
    assert other.communicate(timeout=20)[1] == ""


def test_a_run_is_named_by_dataset_and_configs() -> None:
    assert run_name("birds", []) == "birds (the default config)"
    here = this_run(flock=True, cluster=False, name=run_name("birds", ["/a/my.yaml", "b\n.yaml"]))
    assert str(here).startswith(f"Snakemake of birds (my.yaml, b?.yaml), process {os.getpid()} on ")


def test_a_file_system_without_flock_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(run_locks.fcntl, "flock", unsupported)
    with turn(tmp_path / "turn") as works:
        assert not works


def test_the_text_of_a_lock_gives_the_run_back(lock: Path) -> None:
    here = this_run(flock=True, cluster=True)
    lock.write_text(here.line + "\nresults/a.csv\n")
    assert holder_of(lock) == here
    assert json.loads(here.line.removeprefix("#unchoke "))["pid"] == os.getpid()
    assert "--unlock" in str(held_error(lock.parent)) and "its submissions" in str(held_error(lock.parent))
