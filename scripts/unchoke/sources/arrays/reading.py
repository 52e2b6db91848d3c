"""Rows of arrays as pixels, neighbouring ones in one slice."""

import math
import struct
import threading
import zlib
from collections.abc import Sequence
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
"""A row as it is stored, or the error that prevented reading."""

BLOCK_BYTES = 32 * 2**20  # most bytes of one slice, kept until its rows are taken


def open_rows(root: Path, names: Sequence[str], open_array: ArrayOpener) -> list[Reader]:
    """A reader for each row, in order; see ``sources.source.open_images``.

    names: as ``locations.row_name`` gives them. Rows that follow each other in one array are read together.
    """
    readers: list[Reader] = []
    rows = [parse_row(name) for name in names]
    start = 0
    for stop in range(1, len(rows) + 1):
        location, last = rows[stop - 1]
        if stop == len(rows) or rows[stop] != (location, last + 1):
            run = _Run(root, location, range(rows[start][1], last + 1), open_array)
            readers += [partial(run.read, row) for row in run.rows]
            start = stop
    return readers


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
        return _as_rgb(found)

    def _take(self, row: int) -> Found:
        """A row, read with its block the first time, alone where it was taken before."""
        array = self._opened()
        size = max(BLOCK_BYTES // math.prod(array.shape[1:]), 1)
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


def _read(array: Rows, rows: range) -> list[Found]:
    """The rows in one slice; where that fails, one by one."""
    try:
        return list(_read_slice(array, rows))
    except UnreadableImageError as error:
        return [error] if len(rows) == 1 else [found for row in rows for found in _read(array, range(row, row + 1))]


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


def _as_rgb(pixels: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """(H, W, 3) as it is; grey, (H, W) or (H, W, 1), three times."""
    import numpy as np

    height, width = pixels.shape[:2]
    return pixels if pixels.shape[2:] == (3,) else np.repeat(pixels.reshape(height, width, 1), 3, axis=2)
