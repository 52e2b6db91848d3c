"""Opening of the user's files: only regular ones, so that no pipe or device can block a job.

Standard library only.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from unchoke.errors import UnchokeError

MOST_BYTES = 2**30
"""Of a file that is read whole: 16-bit RGB of ``decoding.max_pixels``' default takes as much."""

MOST_TABLE_BYTES = 2 * 2**30
"""Of a table as text, which is held in memory row by row."""

_KINDS = {
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def open_regular(path: Path, most_bytes: int | None = None) -> BinaryIO:
    """A regular file, open for reading; see ``check_regular`` for its errors."""
    check_regular(path, most_bytes)
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        _check(os.fstat(file.fileno()), path, most_bytes)  # it may have been replaced since
    except BaseException:
        file.close()
        raise
    return file


def read_regular(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file; errors as of ``check_regular``."""
    with open_regular(path, most_bytes) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1)  # read() allocates as many bytes as it is asked for
        if len(data) > size:  # some file systems give size 0 for generated files
            data += file.read(most_bytes + 1 - len(data))
    if len(data) > most_bytes:
        raise _too_large(len(data), path, most_bytes)
    return data


def check_regular(path: Path, most_bytes: int | None = None) -> None:
    """OSError where a path, links followed, is no regular file (EISDIR, EINVAL) or a larger one (EFBIG).

    Nothing is opened: for libraries that open a path by themselves.
    """
    _check(path.stat(), path, most_bytes)


@contextmanager
def named(problem: str, path: Path, do: str) -> Iterator[None]:
    """Within it an OSError raises UnchokeError, which says why the file at `path` was refused."""
    try:
        yield
    except OSError as error:
        found = error.strerror or str(error)
        raise UnchokeError(problem, found=found, expected="a regular file", where=str(path.absolute()), do=do) from None


def irregular(mode: int) -> str:
    """What a file is that is not regular, by its mode; empty for a regular file or a folder."""
    return next((name for is_kind, name in _KINDS.items() if is_kind(mode)), "")


def _check(found: os.stat_result, path: Path, most_bytes: int | None) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
    if kind := irregular(found.st_mode):
        raise OSError(errno.EINVAL, f"{kind}, not a regular file", str(path))
    if most_bytes is not None and found.st_size > most_bytes:
        raise _too_large(found.st_size, path, most_bytes)


def _too_large(size: int, path: Path, most_bytes: int) -> OSError:
    reason = f"{size / 1e9:.1f} GB, above the {most_bytes / 2**30:.0f} GiB that are read whole"
    return OSError(errno.EFBIG, reason, str(path))
