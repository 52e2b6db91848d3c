"""Paths of the workers' sockets, locks and logs. Only fast modules are imported, since every client reads this."""

import os
import sys
from _blake2 import blake2b

from unchoke.places import SCRIPTS

RUN_NAME = "UNCHOKE_RUN_NAME"  # environment variable of jobs: dataset, config and process of their Snakemake
LONGEST_PATH = 103  # bytes of a socket's path on macOS; Linux allows 107


def socket_path(card: str | None = None) -> str:
    """Path of the socket, one for each Python, folder of commands, card and Slurm job; in a private folder.

    card: None for the first of CUDA_VISIBLE_DEVICES.
    """
    card = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] if card is None else card
    clone, job = clone_and_job()
    short = card if len(card) < 4 and card.isalnum() else digest(card, 2)  # the names of cards may be UUIDs
    path = os.path.join(socket_folder(), clone + (f"-{short}" if card else "") + job)
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SystemExit(
            f"error: {path} is too long for a socket: {len(path)} characters, at most {LONGEST_PATH}\n"
            "  set XDG_RUNTIME_DIR to a folder with a shorter name"
        )
    return path


def sockets() -> list[str]:
    """The sockets of all cards, of this Python and folder of commands, in this Slurm job or outside of all."""
    (clone, job), folder = clone_and_job(), socket_folder()
    names = sorted(name for name in os.listdir(folder) if name.startswith(clone) and "." not in name)
    return [os.path.join(folder, name) for name in names if name.partition("-job")[2] == job.removeprefix("-job")]


def socket_folder() -> str:
    # A Slurm job inherits the login node's XDG_RUNTIME_DIR, which its own node need not have.
    runtime = os.environ.get("XDG_RUNTIME_DIR") if "SLURM_JOB_ID" not in os.environ else ""
    folder = os.path.join(runtime or "/tmp", f"unchoke-{os.getuid()}")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        state = os.lstat(folder)
        wrong = state.st_uid != os.getuid() or state.st_mode & 0o170077 != 0o040000  # a folder, closed to all others
        found = f"user {state.st_uid}, mode {state.st_mode:o}"
    except OSError as error:
        wrong, found = True, str(error.strerror)
    if wrong:
        raise SystemExit(
            f"error: {folder} must be a folder that only you can read\n  found:    {found}\n"
            "  do:       remove it or its permissions, or set XDG_RUNTIME_DIR to a folder of your own"
        )
    return folder


def clone_and_job() -> tuple[str, str]:
    """Prefix and suffix of the names of our sockets."""
    places = [os.stat(place) for place in (SCRIPTS, sys.executable)]
    clone = digest(" ".join(f"{place.st_dev}.{place.st_ino}" for place in places), 5)
    job = os.environ.get("SLURM_JOB_ID", "")
    return clone, f"-job{job}" if job else ""


def digest(text: str, size: int) -> str:
    return blake2b(text.encode(), digest_size=size).hexdigest()


def log_path() -> str:
    return os.path.abspath(os.environ.get("UNCHOKE_WARM_LOG") or socket_path() + ".log")


def open_lock(path: str) -> int:
    """Open a lock file of ours; links are not followed, and named pipes are not waited for."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SystemExit(f"error: {path} cannot be used as a lock: {error.strerror}\n  remove it") from None
