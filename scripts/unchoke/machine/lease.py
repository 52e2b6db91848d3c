"""The lease of a graphics card: an OS lock that every user of the library on this machine takes.

A lock file names its holder. The kernel frees the lock when the holder's process ends, however it ends, so a dead
process never blocks. A waiting process prints the holder, and asks an idle warm worker to end.

Cleaners of temporary folders remove old files, and other processes would then lock a new one. So a holder touches its
file regularly, and restores it if it is gone. On Linux it also holds a name in the kernel's abstract socket namespace,
which nobody can remove; elsewhere two processes can have one card until the file is back, at most KEEP_S later.
"""

import contextlib
import fcntl
import os
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes
from unchoke.machine.turns import WAITING

POLL_S = 0.5
KEEP_S = 10.0
LONGEST_NAME = 200  # characters of another user's description of itself
_LONGEST_ANSWER = 4096  # characters of a line
_held: dict[str, "_Lease"] = {}


def lock_folder() -> Path:
    """Where the lock files of all users of this machine lie."""
    return Path(os.environ.get("UNCHOKE_LOCKS") or Path(tempfile.gettempdir()) / "unchoke-locks")


def take_lease(card: str) -> None:
    """Hold the lock of `card` (its UUID) until this process ends; while another holds it, print who and wait.

    UnchokeError where the lock's folder or file is of another type, or closed to this user.
    """
    if card in _held:
        return
    lease, told = _Lease(lock_folder() / f"{card}.lock"), ""
    while holder := lease.try_to_take():
        if holder != told:
            runs = _shown(_ask_to_yield(holder).partition(", runs ")[2])
            what = f"{_name_of(holder)}{f', which runs {runs}' if runs else ''}"
            text = f"{WAITING}for graphics card {card}, since {time.strftime('%F %T')}: held by {what}"
            print(text, file=sys.stderr, flush=True)
            told = holder
        else:
            _ask_to_yield(holder)
        time.sleep(POLL_S)  # polling, since the kernel's queue for locks cannot ask the holder to yield
    lease.describe()
    _held[card] = lease
    threading.Thread(target=lease.keep, args=(card,), daemon=True).start()


def holder_of(card: str) -> str:
    """Who holds the lease of `card` now; empty where nobody does. UnchokeError as in ``take_lease``."""
    lease = _Lease(lock_folder() / f"{card}.lock")
    if not os.path.lexists(lease.path):
        return ""
    holder = lease.try_to_take()
    lease.give_back()
    return _name_of(holder)


class _Lease:
    """A lock file, and on Linux a kernel name that replaces a removed file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle = -1
        self.name: socket.socket | None = None

    def try_to_take(self) -> str:
        """Try to take the lease; empty on success, else the holder's description."""
        if holder := self._lock_file():
            return holder
        self.name, free = _bind(self.path)
        if not free:
            self.give_back()
            return "a process whose lock file was removed\n"
        return ""

    def _lock_file(self) -> str:
        """``try_to_take`` for the file alone."""
        self.handle = _open_lock(self.path)
        if not _try_lock(self.handle):
            holder = _holder(self.handle)
        elif not _is_at(self.handle, self.path):  # removed since it was opened: others would lock a new one
            holder = "a process that has just ended\n"
        else:
            return ""
        self.give_back()
        return holder

    def give_back(self) -> None:
        """Let go of file and name."""
        if self.handle >= 0:
            os.close(self.handle)
        if self.name:
            self.name.close()
        self.handle, self.name = -1, None

    def describe(self) -> None:
        """Write down who holds the lease."""
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, _description().encode(), 0)

    def keep(self, card: str) -> None:
        """Keep the file young and in its place, for as long as the process lives."""
        failures = 0
        while True:
            time.sleep(KEEP_S)
            problem = self._refresh()
            failures = failures + 1 if problem else 0
            if failures == 2:  # a first failure may come from a waiting process that tries the lock
                print(f"graphics card {card}: its lock file was removed, {problem}", file=sys.stderr, flush=True)

    def _refresh(self) -> str:
        """Touch the file, or lock a new one if it was removed; return the reason of a failure, else empty text."""
        if _is_at(self.handle, self.path):
            with contextlib.suppress(OSError):
                os.utime(self.handle)
            return ""
        again = _Lease(self.path)
        try:
            if holder := again._lock_file():
                return f"and the new one is held by {_name_of(holder)}"
            again.describe()
        except (UnchokeError, OSError) as error:
            return f"and cannot be put back: {' '.join(str(error).split())}"
        os.close(self.handle)
        self.handle = again.handle
        return ""


def _bind(path: Path) -> tuple[socket.socket | None, bool]:
    """The abstract socket of a lock file, which only one process can bind, and whether it was free."""
    if sys.platform != "linux":
        return None, True
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    place = path.parent.resolve() / path.name  # another name for each folder of locks
    try:
        name.bind(f"\0unchoke-lease-{sha256_bytes(os.fsencode(place))[:32]}")
    except OSError:
        name.close()
        return None, False
    return name, True


def _open_lock(path: Path) -> int:
    """The lock file, open to every user of the machine; UnchokeError for all but a regular file with one name."""
    try:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o1777)
        handle = _open_or_create(path)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    state = os.fstat(handle)
    if stat.S_ISREG(state.st_mode) and state.st_nlink <= 1:
        return handle
    os.close(handle)
    raise _unusable(path, f"a file with {state.st_nlink} names" if stat.S_ISREG(state.st_mode) else "no regular file")


def _open_or_create(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, flags | os.O_CREAT | os.O_EXCL)
        os.fchmod(handle, 0o666)
        return handle
    return os.open(path, flags)  # without O_CREAT, which fails in sticky folders for other users' files


def _unusable(path: Path, found: str) -> UnchokeError:
    return UnchokeError(
        "The lock of a graphics card cannot be used.",
        found=found,
        expected="a file and a folder that every user of the card may write to",
        where=str(path),
        do="remove what is there; where it is not yours, set UNCHOKE_LOCKS to another folder, the same for all users",
    )


def _is_at(handle: int, path: Path) -> bool:
    """Whether `path` still names the open file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(handle), path.lstat())
    return False


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
    """The content of the lock file; it may lack the second line."""
    return os.pread(handle, 4096, 0).decode(errors="replace") or "\n"


def _name_of(holder: str) -> str:
    """A holder's description, made safe for a terminal, since another user may have written anything."""
    return _shown(holder.split("\n")[0]) or "a process that has not given its name yet"


def _shown(text: str) -> str:
    """A text of another process without codes for the terminal, cut after LONGEST_NAME."""
    shown = "".join(character if character.isprintable() else "?" for character in text).strip()
    return shown if len(shown) <= LONGEST_NAME else f"{shown[:LONGEST_NAME]}…"


def _ask_to_yield(holder: str) -> str:
    """Ask the holder to end, and return its answer. An idle worker does; a busy one, or one of another user, does
    not."""
    path = holder.split("\n")[1:2]
    if not path or not path[0]:
        return ""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(POLL_S)
        connection.connect(path[0])
        connection.sendall(struct.pack("!I", 5) + b"yield")
        with connection.makefile(errors="replace") as lines:
            lines.readline(_LONGEST_ANSWER)  # `ready`
            return lines.readline(_LONGEST_ANSWER).strip()
    return ""
