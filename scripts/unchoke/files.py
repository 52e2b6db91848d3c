"""Files that are whole or not there: written beside their place, synced, renamed."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from unchoke.errors import UnchokeError

_DISK_ERRORS = {
    errno.ENOSPC: "The disk is full.",
    errno.EDQUOT: "The disk quota is used up.",
    errno.EFBIG: "The file would pass the limit on file sizes.",
    errno.EROFS: "The folder is on a read-only file system.",
    errno.EACCES: "The folder cannot be written to.",
    errno.EPERM: "The folder cannot be written to.",
}


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Put `data` at `path`, so that no reader and no crash ever sees a part of it.

    sync: wait until the bytes are on the disk; False only for what is cheap to make again.
    Raises UnchokeError, with the old file untouched, when the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data, sync)
    except OSError as error:
        if (readable := disk_error(error, path)) is error:
            raise
        raise readable from error


def _replace(path: Path, data: bytes, sync: bool) -> None:
    with open_draft(path) as file:
        draft = Path(file.name)
        try:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    if sync:
        sync_folder(path.parent)


def open_draft(path: Path) -> BinaryIO:
    """A new file beside `path`, to be renamed or deleted before it is closed.

    Its name is always the same on a machine, so that the draft of a killed process is taken over and none stays behind;
    between machines, not every file system's locks hold. Where a living process writes the same file, the file
    system knows no locks, or the name is somebody else's, the draft has a name of its own.
    """
    draft = path.with_name(f".{path.name}.{os.uname().nodename}.tmp")
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        file = stack.enter_context(draft.open("ab"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if draft.lstat().st_ino == os.fstat(file.fileno()).st_ino:  # no link, nor has it become the file itself since
            file.truncate(0)
            file.seek(0)
            stack.pop_all()
            return file
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp").open("xb")


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_error(error: OSError, path: Path) -> UnchokeError | OSError:
    """The error as users should read it; what is not about the disk comes back as it is."""
    problem = _DISK_ERRORS.get(error.errno or 0)
    if problem is None:
        return error
    return UnchokeError(
        problem,
        found=f"{error.strerror} ({_free_mb(path)} MB free)",
        where=str(path),
        do="make room or change the permissions, then run the same command again: all finished work is kept",
    )


def _free_mb(path: Path) -> int:
    existing = next(folder for folder in [path, *path.absolute().parents] if folder.exists())
    return shutil.disk_usage(existing).free // 2**20


def write_if_changed(path: Path, data: bytes, *, sync: bool = True) -> bool:
    """Write `data` only where it differs from what is there, so that times stay; True when it was written."""
    if path.exists() and path.read_bytes() == data:
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


def read_json(path: Path) -> Any:
    """The content of a JSON file; UnchokeError names the file where it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise UnchokeError(
            "A JSON file cannot be read.", found=str(error), where=str(path), do="delete it and run snakemake again"
        ) from error
