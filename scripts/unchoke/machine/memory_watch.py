"""Watch the resident memory of this process during a stage: a readable error comes before the kernel's kill."""

import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from unchoke.errors import UnchokeError

MB = 2**20
EVERY_S = 0.05
LEAST_FREE_MB = 64
_GROUPS_OF_PROCESS = Path("/proc/self/cgroup")
_CONTROL_GROUPS = {  # by the controllers in a line of /proc/self/cgroup, for versions 2 and 1
    "": ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
GRACE_S = 2.0  # time for the stage to react to the interrupt


@contextmanager
def memory_watched(stage: str, budget_mb: int, key: str, *, binding: bool = True) -> Iterator[None]:
    """End the stage with an UnchokeError when it takes more than `budget_mb`, or the machine is nearly out of memory.

    budget_mb: resident memory, MB of 2**20 bytes. key: the config's name of the budget. binding: False for an estimate,
    which the stage may exceed while the machine has room. The peak is printed at the end, beside the budget. If C code
    does not return within 2 s, the process ends with the message and status 1.
    """
    watch = _Watch(stage, budget_mb, key, binding)
    thread = threading.Thread(target=watch.run, daemon=True)
    try:
        try:
            thread.start()
            yield
        finally:
            watch.done.set()
            thread.join()
            print(f"memory: {watch.peak_mb:,.0f} MB resident at most, of {budget_mb:,} MB ({key})")
    except KeyboardInterrupt:
        if watch.verdict:
            raise watch.verdict from None
        raise
    if watch.verdict:  # it came too late to interrupt the stage
        raise watch.verdict


class _Watch:
    def __init__(self, stage: str, budget_mb: int, key: str, binding: bool) -> None:
        self.stage, self.budget_mb, self.key, self.binding = stage, budget_mb, key, binding
        self.done = threading.Event()
        self.peak_mb = 0.0
        self.verdict: UnchokeError | None = None

    def run(self) -> None:
        process = psutil.Process()
        while not self.done.is_set():
            resident_mb, free_mb = process.memory_info().rss / MB, free_memory_mb()
            self.peak_mb = max(self.peak_mb, resident_mb)
            self.verdict = self._judge(resident_mb, free_mb)
            if self.verdict:
                _interrupt_main_thread()
                if not self.done.wait(GRACE_S):
                    print(f"error: {self.verdict}", file=sys.stderr, flush=True)
                    os._exit(1)
                return
            self.done.wait(EVERY_S)

    def _judge(self, resident_mb: float, free_mb: float) -> UnchokeError | None:
        if self.binding and resident_mb > self.budget_mb:
            return UnchokeError(
                f"{self.stage} needs more memory than it may take.",
                found=f"{resident_mb:,.0f} MB resident",
                expected=f"at most {self.budget_mb:,} MB ({self.key})",
                do=f"raise {self.key}, or close what else needs memory; finished chunks are kept",
            )
        if free_mb < LEAST_FREE_MB:
            return UnchokeError(
                f"The machine is nearly out of memory; {self.stage} was ended before the kernel would kill it.",
                found=f"{free_mb:,.0f} MB free, {resident_mb:,.0f} MB resident here",
                expected=f"at least {LEAST_FREE_MB} MB free",
                do="run with fewer --cores, or close other programs; finished chunks are kept",
            )
        return None


def _interrupt_main_thread() -> None:
    """Raise KeyboardInterrupt in the main thread, even in a sleep; without effect if the process ignores SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def peak_memory_mb() -> float:
    """Most resident memory of this process so far, MB."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB
    lines = Path("/proc/self/status").read_text().splitlines()  # getrusage would include the memory before exec
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def free_memory_mb() -> float:
    """Memory that is still free, MB, of the machine, or within the smaller limit of the container or Slurm job."""
    return min([psutil.virtual_memory().available / MB, *_free_in_groups_mb()])


def _free_in_groups_mb() -> Iterator[float]:
    """Free memory within the limit of each control group around this process."""
    try:
        lines = _GROUPS_OF_PROCESS.read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers in _CONTROL_GROUPS:
            root, limit, used, cached = _CONTROL_GROUPS[controllers]
            place = Path(root, path.lstrip("/"))
            for folder in [place, *place.parents]:
                if folder.is_relative_to(root):
                    yield _free_in_group_mb(folder, limit, used, cached)


def _free_in_group_mb(folder: Path, limit: str, used: str, cached: str) -> float:
    """Infinity where the group has no limit; pages of files that the kernel can take back count as free."""
    try:
        most, taken = (folder / limit).read_text().strip(), int((folder / used).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return float("inf")
    return float("inf") if most == "max" else (int(most) - taken + int(stat.get(cached, "0"))) / MB
