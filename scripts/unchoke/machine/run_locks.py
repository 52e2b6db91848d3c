"""Who holds the lock of a folder that Snakemake runs in, and whether that run is dead.

Snakemake's lock files outlive a run that is killed. So their first line names their run. Snakemake reads this line as
one more locked file. The run also holds an ``flock`` on them, which ends with its process.
"""

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil

from unchoke.errors import UnchokeError
from unchoke.machine.turns import WAITING

RUN_VARIABLE = "UNCHOKE_RUN"
"""Environment variable that marks the jobs of a run. The worker lacks it, since it may outlive the run."""
STOP_S = 10.0  # time between SIGTERM and SIGKILL for jobs of a dead run
_MARK = "#unchoke "


@dataclass(frozen=True)
class Holder:
    """A run of Snakemake, as its lock files name it."""

    host: str
    machine: str
    """Identity of the installation; empty where the system has none."""
    boot: str
    """Identity of the running kernel; empty where the system has none."""
    namespace: str
    """The namespace of `pid`: a container's or the machine's."""
    pid: int
    started: str
    """When the process began, in the system's unit, since another process may have its number by now."""
    since: str
    flock: bool
    """Whether the folder's file system knows ``flock``."""
    cluster: bool
    """Whether its jobs run on a cluster, where they outlive it."""
    name: str = ""
    """Its dataset and config files; empty of a run of an earlier release."""

    def __str__(self) -> str:
        return (
            f"Snakemake{f' of {self.name}' if self.name else ''}, process {self.pid} on {self.host}, since {self.since}"
        )

    @property
    def line(self) -> str:
        """The first line of the lock files."""
        return _MARK + json.dumps(asdict(self))

    @property
    def run(self) -> str:
        """Value of RUN_VARIABLE in the jobs of the run."""
        return f"{self.boot} {self.namespace} {self.pid} {self.started}"


def run_name(dataset: str, files: Iterable[str | Path]) -> str:
    """What messages call a run of Snakemake: its dataset and config files, in one printable line."""
    text = f"{dataset} ({', '.join(Path(file).name for file in files) or 'the default config'})"
    return "".join(character if character.isprintable() else "?" for character in text)


def this_run(*, flock: bool, cluster: bool, name: str = "") -> Holder:
    """This process as a holder."""
    pid = os.getpid()
    place = (socket.gethostname(), _text("/etc/machine-id"), _text("/proc/sys/kernel/random/boot_id"))
    since = time.strftime("%F %T")
    return Holder(*place, _namespace(), pid, started(pid), since, flock, cluster, name)


@cache
def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text().strip()
    return ""


def _namespace() -> str:
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def started(pid: int) -> str:
    """When a process began; empty where there is none, or only its exit status is left."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]  # clock ticks since the machine started; see man proc
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    return ""


def holder_of(lock: Path) -> Holder | None:
    """The run that a lock file names; None for lock files of other workflows, which name none."""
    with contextlib.suppress(OSError, ValueError, TypeError), lock.open() as file:
        line = file.readline()
        if line.startswith(_MARK):
            return Holder(**json.loads(line.removeprefix(_MARK)))
    return None


def is_dead(holder: Holder, here: Holder, free: bool | None) -> bool:
    """Whether `holder` has ended for certain.

    here: this process as a holder. free: whether nobody has the ``flock`` of the lock file; None: it cannot be told.
    """
    if holder.cluster or free is False or (holder.flock and not free):
        return False
    if holder.boot and holder.boot == here.boot:
        if holder.namespace == here.namespace:
            return started(holder.pid) != holder.started
        return holder.flock  # in another container of this machine, flock still works: both share a kernel
    rebooted = holder.boot and here.boot and (holder.host, holder.machine) == (here.host, here.machine)
    return bool(rebooted and holder.machine)


def lock_files(folder: Path) -> list[Path]:
    """Snakemake's lock files, ``<number>.input.lock`` and ``<number>.output.lock``."""
    return sorted(path for kind in ("input", "output") for path in folder.glob(f"[0-9]*.{kind}.lock"))


def living_locks(folder: Path) -> Iterator[Path]:
    """The lock files whose runs have not ended for certain."""
    here = this_run(flock=False, cluster=False)
    for lock in lock_files(folder):
        holder = holder_of(lock)
        if holder is None or not is_dead(holder, here, _is_free(lock)):
            yield lock


def _is_free(lock: Path) -> bool | None:
    """Whether nobody has the ``flock`` of a file; None where it cannot be told."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def hold(lock: Path) -> int:
    """Take the ``flock`` of a lock file until the returned descriptor is closed or this process ends."""
    handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


@contextlib.contextmanager
def turn(file: Path) -> Iterator[bool]:
    """Keep other runs from looking for locks or taking them meanwhile; False if the file system does not support it.

    If another run has its turn, a message says so.
    """
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            _wait_for(handle, file)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _wait_for(handle: int, file: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 1000, 0).decode(errors="replace") or "another run"
        text = f"{WAITING}for the locks in {file.parent}, since {time.strftime('%F %T')}: {holder} looks at them"
        print(text, file=sys.stderr, flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"Snakemake, process {os.getpid()},".encode(), 0)


def remove_dead_locks(folder: Path) -> list[str]:
    """Remove the locks of dead runs and stop their remaining jobs; return a sentence for each run.

    Call it within ``turn``.
    """
    dead = {lock: holder_of(lock) for lock in set(lock_files(folder)) - set(living_locks(folder))}
    sentences = []
    for holder in {holder for holder in dead.values() if holder is not None}:
        stopped = stop_jobs(holder.run)
        jobs = f", and {stopped} processes of its jobs are stopped" if stopped else ""
        sentences.append(f"The lock of {holder} is removed: that run was killed{jobs}.")
    for lock in dead:
        lock.unlink(missing_ok=True)
    return sorted(sentences)


def stop_jobs(run: str) -> int:
    """End the processes of a dead run, so that they do not write beside ours; return their number."""
    left = [process for process in psutil.process_iter() if _belongs_to(process, run)]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=STOP_S)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return len(left)


def _belongs_to(process: psutil.Process, run: str) -> bool:
    """Whether a process is a job of `run`; False for other users' processes, which cannot be inspected."""
    try:
        return process.pid != os.getpid() and process.environ().get(RUN_VARIABLE) == run
    except (psutil.Error, OSError):
        return False


def held_error(folder: Path) -> UnchokeError:
    """The error for a lock that a living run may hold."""
    holders = {holder_of(lock) for lock in living_locks(folder)}
    says = sorted(str(holder) if holder else "a Snakemake that does not say which" for holder in holders)
    submissions = " and its submissions" if any(holder and holder.cluster for holder in holders) else ""
    return UnchokeError(
        "Another run works on the same files.",
        found="; ".join(says),
        expected="one run at a time for each dataset, or one that was killed on this machine",
        where=str(folder),
        do=f"wait for it; or make sure that it{submissions} has ended, add --unlock to the command once, then run it",
    )
