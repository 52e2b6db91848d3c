"""Sample what the processes that work in a folder take on the graphics card, in a process of its own.

`python card_watch.py FOLDER` answers every line of its input with a line of JSON, about the time since the last one:
`own_mb`, the most that NVML saw those processes take together, CUDA's contexts included; `rise_mb`, the most by which
all that was taken on the card rose above what was taken at the start, for drivers that do not tell processes apart;
`samples`; and `late`, the share of samples more than 20 ms after the one before.
"""

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pynvml

from unchoke.machine.memory import MB, card_handle, free_card_mb

EVERY_S, LATEST_S = 0.008, 0.02


@dataclass
class Peak:
    """What was seen since the last question."""

    own_mb: float = 0.0
    rise_mb: float = 0.0
    samples: int = 0
    late: float = 0.0

    @property
    def mb(self) -> float:
        """That of our processes, or of all where the driver does not tell them apart."""
        return self.own_mb or self.rise_mb


class Sampler:
    """Asks NVML; a process is looked up once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.handle, self.ours = folder.resolve(), card_handle(), dict[int, bool]()
        self.before_mb = self._taken_mb()

    def sample(self, peak: Peak) -> None:
        """Take one sample into a peak."""
        own = [process.usedGpuMemory or 0 for process in self._processes() if self._is_ours(process.pid)]
        peak.own_mb = max(peak.own_mb, sum(own) / MB)
        peak.rise_mb = max(peak.rise_mb, self._taken_mb() - self.before_mb)
        peak.samples += 1

    def _processes(self) -> list[Any]:
        try:
            return list(pynvml.nvmlDeviceGetComputeRunningProcesses(self.handle))
        except pynvml.NVMLError:  # where the driver lists none, as in WSL
            return []

    def _taken_mb(self) -> float:
        memory = pynvml.nvmlDeviceGetMemoryInfo(self.handle)
        return float(memory.total - memory.free) / MB

    def _is_ours(self, pid: int) -> bool:
        if pid not in self.ours:
            try:
                self.ours[pid] = Path(psutil.Process(pid).cwd()).is_relative_to(self.folder)
            except (psutil.Error, OSError):
                return False
        return self.ours[pid]


class Watch:
    """The sampling process, as the benchmark sees it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def peak(self) -> Peak:
        """Of the time since the last call."""
        self._process.stdin.write("\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return Peak(**json.loads(self._process.stdout.readline()))  # type: ignore[union-attr]


@contextmanager
def card_watched(folder: Path) -> Iterator[Watch]:
    """Watch the card while something works in a folder."""
    command: list[Any] = [sys.executable, Path(__file__).resolve(), folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Watch(process)
        process.communicate("")


def whole_card_mb() -> int:
    """Memory of the card, MB, asked without a context on it."""
    return int(free_card_mb()[1])


def main() -> None:
    sampler, peak, late, last = Sampler(Path(sys.argv[1])), Peak(), 0, time.monotonic()
    while True:
        asked, _, _ = select.select([sys.stdin], [], [], EVERY_S)
        sampler.sample(peak)
        now = time.monotonic()
        late, last = late + (now - last > LATEST_S), now
        if asked:
            if not sys.stdin.readline():
                return
            peak.late = late / peak.samples
            print(json.dumps(vars(peak)), flush=True)
            peak, late = Peak(), 0


if __name__ == "__main__":
    main()
