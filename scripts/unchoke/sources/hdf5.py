"""Images in HDF5 files, read in place: contiguous or in chunks, compressed or not."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unchoke.arrays import Rows, broken_file, missing_key
from unchoke.arrays.listing import fields_digest, list_rows
from unchoke.locations import NO_FIELDS, Fields
from unchoke.sources import Listing, Reader

if TYPE_CHECKING:
    import h5py

CACHE_BYTES = 64 * 2**20  # of unpacked HDF5 chunks an open file: a row may lie in many, which the rows behind it share
CACHE_SLOTS = 12421  # a prime, some hundred times as many as there are chunks, as HDF5's manual asks for
MOST_OPEN = 4  # files at once, each with a cache


class _Opened(NamedTuple):
    """A file that is open."""

    state: tuple[int, int, int]
    """Its inode, size and time when it was opened."""
    handle: "h5py.File"
    datasets: dict[str, Any]
    """Those asked for so far: HDF5 forgets what it has unpacked when a dataset is closed."""


_opened: dict[tuple[int, Path], _Opened] = {}
_opening = threading.Lock()


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The rows of the datasets that `fields` names in files below `path`."""
    return list_rows(path, fields, open_array)


def listing_digest(path: Path, group: str | None, fields: Fields) -> str:
    """Digest of what is named, and of the files' sizes and times."""
    return fields_digest(path, fields)


def open_images(root: Path, names: Sequence[str]) -> list[Reader]:
    """A reader for each row."""
    from unchoke.arrays.reading import open_rows

    return open_rows(root, names, open_array)


def open_array(file: Path, key: str) -> Rows:
    """A dataset of an HDF5 file; UnchokeError where the file is none, or has no such dataset."""
    import h5py

    opened = _open(file)
    if key not in opened.datasets:
        if not key or not isinstance(found := opened.handle.get(key), h5py.Dataset):
            raise missing_key(key, _keys(opened.handle), file)
        opened.datasets[key] = found
    rows: Rows = opened.datasets[key]
    return rows


def _open(file: Path) -> _Opened:
    """The open file, the same one until it changes; a forked process opens its own."""
    stat = file.stat()
    name, state = (os.getpid(), file), (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    with _opening:
        if name not in _opened or _opened[name].state != state:
            _opened.pop(name, None)  # first, or HDF5 would hand out what it knows of the old one
            if len(_opened) >= MOST_OPEN:
                _opened.pop(next(iter(_opened)))
            _opened[name] = _Opened(state, _open_anew(file), {})
        return _opened[name]


def _open_anew(file: Path) -> "h5py.File":
    import h5py

    cache = {"rdcc_nbytes": CACHE_BYTES, "rdcc_nslots": CACHE_SLOTS}
    try:
        return h5py.File(file, "r", locking=False, **cache)  # a reader of a folder that may not be written to
    except OSError as error:
        if error.errno is not None:
            raise
        cut_short = "truncated" in str(error)
        raise broken_file(
            f"The {'HDF5 file is cut short' if cut_short else 'file is no HDF5 file'}.", error, file
        ) from None


def _keys(handle: "h5py.File") -> list[str]:
    """The names of all datasets of a file."""
    import h5py

    names: list[str] = []

    def note(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset):
            names.append(name)

    handle.visititems(note)
    return names


def _forget_lock() -> None:
    global _opening
    _opening = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)  # another thread of the parent may have held it
