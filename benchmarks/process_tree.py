"""What a run takes together: a process, all its descendants, and who else works in a folder of its own."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
from clones import LIMIT_S, kill_session

from unchoke.machine.process_tree import family

EVERY_S = 0.05
MB = 2**20


class Taken(NamedTuple):
    """What a process took from its start to its end."""

    wall_s: float
    peak_mb: float
    """Resident memory of all together, at most, MB of 2**20 bytes; sampled every 0.05 s. Pages that
    they share count for each of them, so that the figure errs on the side of too much."""


def watch(process: "subprocess.Popen[bytes]", folder: Path | None = None) -> Taken:
    """Wait for a process that leads its session; RuntimeError where it fails or outlives the limit of a benchmark.

    folder: processes that work in it or below count too, such as the warm worker of a clone, which is nobody's child.
    """
    started, peak_mb = time.perf_counter(), 0.0
    root = psutil.Process(process.pid)
    try:
        while process.poll() is None:
            peak_mb = max(peak_mb, resident_mb(root, folder))
            if time.perf_counter() - started > LIMIT_S:
                raise RuntimeError(f"process {process.pid} took more than {LIMIT_S:.0f} s")
            time.sleep(EVERY_S)
    except BaseException:
        kill_session(process)
        raise
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    return Taken(time.perf_counter() - started, peak_mb)


def resident_mb(root: psutil.Process, folder: Path | None) -> float:
    """Of all of them now; those that end meanwhile count for nothing."""
    total = 0
    for process in {*family(root), *(_at_work_in(folder) if folder else ())}:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / MB


def _at_work_in(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder.resolve()):
                yield process
        except (psutil.Error, OSError):
            continue
