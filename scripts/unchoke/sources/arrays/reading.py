"""Rows of arrays as pixels, neighbouring ones in one slice."""

import math
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images.decode import unreadable
from unchoke.sources.arrays.array import ArrayOpener, Rows, check_images, open_located
from unchoke.sources.arrays.gaps import NotStoredError
from unchoke.sources.locations import Location, parse_row
from unchoke.sources.source import Reader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Found: TypeAlias = "NDArray[np.uint8] | UnreadableImageError"
"""A row, or neighbouring rows, or the error that prevented reading a row."""

BLOCK_BYTES = 32 * 2**20  # most bytes of one slice, kept until its rows are taken


def open_rows(root: Path, names: Sequence[str], open_array: ArrayOpener) -> list[Reader]:
    """A reader for each row, in order; see ``sources.source.open_images``.

    names: as ``locations.row_name`` gives them. Rows that follow each other in one array are read together.
    """
    return [partial(run.read, row) for run in _runs(root, names, open_array) for row in run.rows]


def read_slices(root: Path, names: Sequence[str], open_array: ArrayOpener) -> Iterator[Found]:
    """The same rows: those that follow each other as one array, uint8 (n, H, W, 3), of BLOCK_BYTES at most.

    An UnreadableImageError stands in the place of each row that cannot be read.
    """
    for run in _runs(root, names, open_array):
        yield from run.slices()


def _runs(root: Path, names: Sequence[str], open_array: ArrayOpener) -> Iterator["_Run"]:
    rows = [parse_row(name) for name in names]
    start = 0
    for stop in range(1, len(rows) + 1):
        location, last = rows[stop - 1]
        if stop == len(rows) or rows[stop] != (location, last + 1):
            yield _Run(root, location, range(rows[start][1], last + 1), open_array)
            start = stop


class _Run:
    """Rows that follow each other in one array; a block of them is read when the first of it is asked for."""

    def __init__(self, root: Path, location: Location, rows: range, open_array: ArrayOpener) -> None:
        self.rows = rows
        self._open = partial(open_located, root, location, open_array)
        self._where = f"{root}, {location}"
        self._array: Rows | None = None
        self._waiting: dict[int, Found] = {}  # rows of the last slice that are not taken yet
        self._blocks_read: set[int] = set()
        self._lock = threading.Lock()

    def read(self, row: int) -> "NDArray[np.uint8]":
        """The pixels of a row, uint8 (H, W, 3); UnreadableImageError with the reason."""
        with self._lock:
            found = self._take(row)
        if isinstance(found, UnreadableImageError):
            raise found
        pixels: NDArray[np.uint8] = _as_rgb(found[None])[0]
        return pixels

    def slices(self) -> Iterator[Found]:
        """All rows in blocks; see ``read_slices``."""
        try:
            array = self._opened()
        except UnreadableImageError as error:
            yield from [error] * len(self.rows)
            return
        size = _block_rows(array)
        for start in range(0, len(self.rows), size):
            for found in _slices(array, self.rows[start : start + size]):
                yield found if isinstance(found, UnreadableImageError) else _as_rgb(found)

    def _take(self, row: int) -> Found:
        """A row, read with its block the first time, alone where it was taken before."""
        array = self._opened()
        size = _block_rows(array)
        block = (row - self.rows.start) // size
        if block not in self._blocks_read:
            rows = self.rows[block * size : (block + 1) * size]
            self._waiting.update(zip(rows, _read(array, rows), strict=True))
            self._blocks_read.add(block)
        return self._waiting.pop(row) if row in self._waiting else _read(array, range(row, row + 1))[0]

    def _opened(self) -> Rows:
        if self._array is None:
            try:
                array = self._open()
                check_images(array, self._where)
            except UnchokeError as error:  # for example a file that has been deleted
                raise unreadable(error) from None
            self._array = array
        return self._array


def _block_rows(array: Rows) -> int:
    """Rows of one slice."""
    return max(BLOCK_BYTES // math.prod(array.shape[1:]), 1)


def _read(array: Rows, rows: range) -> list[Found]:
    """Each row by itself."""
    found: list[Found] = []
    for part in _slices(array, rows):
        found += [part] if isinstance(part, UnreadableImageError) else list(part)
    return found


def _slices(array: Rows, rows: range) -> Iterator[Found]:
    """The rows as they are stored, in one slice; where that fails, one by one."""
    try:
        yield _read_slice(array, rows)
    except UnreadableImageError as error:
        if len(rows) == 1:
            yield error
            return
        for row in rows:
            yield from _slices(array, range(row, row + 1))


def _read_slice(array: Rows, rows: range) -> "NDArray[np.uint8]":
    """The rows as they are stored. A machine at fault raises its OSError, a damaged array UnreadableImageError."""
    if rows.stop > array.shape[0]:
        raise UnreadableImageError(f"the array has {array.shape[0]} rows")
    try:
        pixels: NDArray[np.uint8] = array[rows.start : rows.stop]
    except NotStoredError as error:
        raise UnreadableImageError(f"not stored: {error}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise UnreadableImageError(_reason(error)) from None
    except (RuntimeError, ValueError, TypeError, LookupError, EOFError, struct.error, zlib.error) as error:
        raise UnreadableImageError(_reason(error)) from None
    return pixels


def _reason(error: Exception) -> str:
    return f"damaged array: {' '.join(str(error).split())[:200] or type(error).__name__}"


def _as_rgb(pixels_N: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """(N, H, W, 3) as it is; grey, (N, H, W) or (N, H, W, 1), three times."""
    import numpy as np

    return pixels_N if pixels_N.shape[3:] == (3,) else np.repeat(pixels_N.reshape(*pixels_N.shape[:3], 1), 3, axis=3)
