"""What a run takes together: a process, all its descendants, and who else works in a folder of its own."""

import subprocess
import time
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import psutil
from clones import LIMIT_S, kill_session

from unchoke.machine.process_tree import family

EVERY_S = 0.05
LOOK_ROUND = 10  # samples between two searches among all processes, which would slow down what is measured
MB = 2**20


class Taken(NamedTuple):
    """What a process took from its start to its end."""

    wall_s: float
    peak_mb: float
    """Resident memory of all together, at most, MB of 2**20 bytes; sampled every 0.05 s. Pages that
    they share count for each of them, so that the figure errs on the side of too much."""
    processor_s: float = 0.0
    """Processor time of all together; of each process without what it took after the last sample."""


def watch(process: "subprocess.Popen[bytes]", folder: Path | None = None) -> Taken:
    """Wait for a process that leads its session; RuntimeError where it fails or outlives the limit of a benchmark.

    folder: processes that work in it or below count too, such as the warm worker of a clone, which is nobody's child.
    """
    started, peak_mb, processor_s = time.perf_counter(), 0.0, dict[int, float]()
    root, others = psutil.Process(process.pid), list[psutil.Process]()
    try:
        for sample in count():
            if process.poll() is not None:
                break
            if folder and sample % LOOK_ROUND == 0:
                others = list(_at_work_in(folder))
            peak_mb = max(peak_mb, resident_mb({*family(root), *others}, processor_s))
            if time.perf_counter() - started > LIMIT_S:
                raise RuntimeError(f"process {process.pid} took more than {LIMIT_S:.0f} s")
            time.sleep(EVERY_S)
    except BaseException:
        kill_session(process)
        raise
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    return Taken(time.perf_counter() - started, peak_mb, sum(processor_s.values()))


def resident_mb(processes: Iterable[psutil.Process], processor_s: dict[int, float]) -> float:
    """Of all of them now; those that end meanwhile count for nothing. The processor time of each is noted by its id."""
    total = 0
    for process in processes:
        try:
            with process.oneshot():
                total += process.memory_info().rss
                processor_s[process.pid] = sum(process.cpu_times()[:2])
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
