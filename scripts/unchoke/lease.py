"""The lease of a graphics card: an OS lock that every user of the library on this machine takes.

A lock file names its holder. The kernel frees the lock when the holder's process ends, however it ends, so a dead
process never blocks. A waiting process says for whom, and asks an idle warm worker to make room.
"""

import contextlib
import fcntl
import os
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

POLL_S = 0.5
_held: dict[str, int] = {}


def lock_folder() -> Path:
    """Where the lock files of all users of this machine lie."""
    return Path(os.environ.get("UNCHOKE_LOCKS") or Path(tempfile.gettempdir()) / "unchoke-locks")


def take_lease(card: str) -> None:
    """Hold the lock of `card` (its UUID) until this process ends; wait, and say for whom, while another holds it."""
    if card in _held:
        return
    handle = _open_lock(lock_folder() / f"{card}.lock")
    told = ""
    while not _try_lock(handle):
        holder = _holder(handle)
        if holder != told:
            print(f"waiting for graphics card {card}: held by {holder.splitlines()[0]}", file=sys.stderr, flush=True)
            told = holder
        _ask_to_yield(holder)
        time.sleep(POLL_S)  # the kernel has a queue for locks, but none that would also ask the holder to yield
    os.ftruncate(handle, 0)
    os.pwrite(handle, _description().encode(), 0)
    _held[card] = handle


def holder_of(card: str) -> str:
    """Who holds the lease of `card` now; empty where nobody does."""
    path = lock_folder() / f"{card}.lock"
    if not path.exists():
        return ""
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return "" if _try_lock(handle) else _holder(handle).splitlines()[0]
    finally:
        os.close(handle)


def _open_lock(path: Path) -> int:
    """The lock file, which every user of the machine may lock but which nobody can replace."""
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o1777)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.fchmod(handle, 0o666)
        return handle
    return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _description() -> str:
    """Who holds the lock; on the second line the socket at which a warm worker can be asked to yield."""
    what = "warm worker" if "UNCHOKE_WORKER" in os.environ else Path(sys.argv[0]).name or "python"
    since = time.strftime("%F %T")
    return f"pid {os.getpid()} ({what}) of user {os.getuid()} since {since}\n{os.environ.get('UNCHOKE_WORKER', '')}\n"


def _holder(handle: int) -> str:
    text = os.pread(handle, 4096, 0).decode(errors="replace")
    return text or "a process that has not given its name yet\n"


def _ask_to_yield(holder: str) -> None:
    """A worker ends when it is idle; a busy one, and one of another user, goes on."""
    path = holder.splitlines()[1:2]
    if not path or not path[0]:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(POLL_S)
        connection.connect(path[0])
        connection.sendall(struct.pack("!I", 5) + b"yield")
        connection.recv(4096)
