"""What a process and all its descendants take: processor time and memory."""

import threading
from types import TracebackType
from typing import Self

import psutil

MB = 2**20
EVERY_S = 0.2
"""Between two looks at memory; one takes some ms a process."""


def family(root: psutil.Process) -> list[psutil.Process]:
    """A process and all its descendants; none where it has ended."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(root: psutil.Process) -> float:
    """Processor seconds of a family so far, of its ended members too, if their parents have waited for them."""
    total = 0.0
    for process in family(root):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


def memory_mb(root: psutil.Process) -> float:
    """Memory of a family now, MB of 2**20 bytes: pages that processes share count once where the system tells (PSS)."""
    total = 0
    for process in family(root):
        try:
            total += _own_bytes(process)
        except psutil.NoSuchProcess:
            continue
    return total / MB


def _own_bytes(process: psutil.Process) -> int:
    try:
        found = process.memory_full_info()
        return int(getattr(found, "pss", found.rss))
    except psutil.AccessDenied:
        return int(process.memory_info().rss)


class PeakMemory:
    """Context: watches a family from a thread of another process, until it is left."""

    def __init__(self, root: psutil.Process) -> None:
        self.root, self.mb = root, 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._done.is_set():
            self.mb = max(self.mb, memory_mb(self.root))
            self._done.wait(EVERY_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
