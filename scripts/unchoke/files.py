"""Atomic writing of files: each is written beside its place, synced and renamed."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes

_DISK_ERRORS = {
    errno.ENOSPC: "The disk is full.",
    errno.EDQUOT: "The disk quota is used up.",
    errno.EFBIG: "The file would pass the limit on file sizes.",
    errno.EROFS: "The folder is on a read-only file system.",
    errno.EACCES: "The folder cannot be written to.",
    errno.EPERM: "The folder cannot be written to.",
}

_written: dict[Path, str] | None = None  # one command at a time runs in a process, but its threads may write
_before_writing: Callable[[], None] | None = None
_unsynced: set[Path] | None = None
_SYNCED_AT_ONCE = 16  # the disk puts these waits together; one after the other, each takes milliseconds


@contextlib.contextmanager
def written_files(before: Callable[[], None]) -> Iterator[dict[Path, str]]:
    """Collect path and SHA-256 of every file written within the context, unchanged ones included.

    before: is called before ``write_atomic`` changes anything.
    """
    global _written, _before_writing
    outer = _written, _before_writing
    _written, _before_writing = {}, before
    try:
        yield _written
    finally:
        _written, _before_writing = outer


@contextlib.contextmanager
def synced_together() -> Iterator[None]:
    """Put all that is written within the context on the disk at its end, far faster than file by file.

    After a power failure before the end, files may be torn: only for what is compared with digests before it is used.
    """
    global _unsynced
    outer, _unsynced = _unsynced, set()
    try:
        yield
        paths = sorted(_unsynced)
    finally:
        _unsynced = outer
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(_sync, [path for path in paths if path.exists()]))


def note_file(path: Path, sha256: str | None = None) -> None:
    """Count a file among the written ones; sha256: where it is known already."""
    if _written is not None:
        _written[path] = sha256 or file_sha256(path)


def note_renamed(old: Path, new: Path) -> None:
    """Move noted files from folder `old` to folder `new` after a rename."""
    for path in [path for path in _written or {} if path.is_relative_to(old)]:
        assert _written is not None
        _written[new / path.relative_to(old)] = _written.pop(path)


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Put `data` at `path`, so that no reader and no crash ever sees a part of it.

    sync: wait until the bytes are on the disk; False only for what is cheap to make again.
    A link at `path` is replaced by the file; what the link names keeps its bytes.
    Raises UnchokeError, with the old file untouched, when the disk refuses.
    """
    try:
        if _before_writing is not None:
            _before_writing()
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data, sync)
    except OSError as error:
        if (readable := disk_error(error, path)) is error:
            raise
        raise readable from error
    _note_bytes(path, data)


def _note_bytes(path: Path, data: bytes) -> None:
    if _written is not None:
        _written[path] = sha256_bytes(data)


def _replace(path: Path, data: bytes, sync: bool) -> None:
    with open_temporary_file(path) as file:
        temporary = Path(file.name)
        try:
            file.write(data)
            file.flush()
            if sync and _unsynced is None:
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    if sync and _unsynced is not None:
        _unsynced.add(path)
    if sync:
        sync_folder(path.parent)


def open_temporary_file(path: Path) -> BinaryIO:
    """A new temporary file beside `path`, to be renamed or deleted before it is closed.

    Its name is always the same on a machine, so that the file of a killed process is taken over and none stays behind;
    between machines, not every file system's locks hold. Where a living process writes the same file, the file
    system knows no locks, or the name is somebody else's, the file has a name of its own.
    """
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        temporary = path.with_name(f".{path.name}.{os.uname().nodename}.tmp")
        file = stack.enter_context(open(temporary, "wb", opener=_open_own_file))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_own_file(file.fileno(), temporary):
            file.truncate(0)
            stack.pop_all()
            return file
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp").open("xb")


def _open_own_file(path: str, _: int) -> int:
    """Open or create `path` for writing; follow no link, wait at no named pipe, and leave what is there as it is."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)


def _is_own_file(handle: int, path: Path) -> bool:
    """Whether an open file is a regular one of ours, and `path` its only name: it may have been renamed since."""
    state = os.fstat(handle)
    own = stat.S_ISREG(state.st_mode) and state.st_nlink == 1 and state.st_uid == os.geteuid()
    return own and os.path.samestat(state, path.lstat())


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    if _unsynced is not None:
        _unsynced.add(folder)
    else:
        _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_error(error: OSError, path: Path) -> UnchokeError | OSError:
    """An UnchokeError for a fault of the disk; any other error unchanged."""
    problem = _DISK_ERRORS.get(error.errno or 0)
    if problem is None:
        return error
    space = _file_system(path)
    found = f"{error.strerror} ({space.f_bavail * space.f_frsize // 2**20} MB free)"
    if error.errno == errno.ENOSPC and space.f_files and not space.f_favail:
        problem = "The file system has no room for another file: all its inodes are in use."
        found = f"{error.strerror} (0 of {space.f_files} inodes free)"
    return UnchokeError(
        problem,
        found=found,
        where=str(path),
        do="make room or change the permissions, then run the same command again: all finished work is kept",
    )


def _file_system(path: Path) -> os.statvfs_result:
    """The file system of the nearest folder of `path` that can be looked at."""
    for folder in path.absolute().parents:
        with contextlib.suppress(OSError):
            return os.statvfs(folder)
    return os.statvfs("/")


def write_if_changed(path: Path, data: bytes, *, sync: bool = True) -> bool:
    """Write `data` if the file differs, so that unchanged files keep their times; True when it was written."""
    if path.exists() and path.read_bytes() == data:
        _note_bytes(path, data)
        return False
    write_atomic(path, data, sync=sync)
    return True


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file that may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Iterable[Path]) -> str:
    """Hexadecimal SHA-256 of the bytes of all files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def json_bytes(value: Any) -> bytes:
    """Readable JSON with sorted keys and a newline at its end: the same content gives the same bytes."""
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode()
