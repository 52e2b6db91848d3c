"""Images in HDF5 files, read in place: contiguous or in chunks, compressed or not."""

import os
import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unchoke.sources.arrays.array import ArrayOpener, Rows, broken_file, missing_key
from unchoke.sources.arrays.containers import Containers, containers_of, files_behind, locations_of
from unchoke.sources.arrays.gaps import StoredRows
from unchoke.sources.arrays.hdf5_files import Folder, MissingError, dataset_at
from unchoke.sources.arrays.listing import fields_digest, list_rows
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing

if TYPE_CHECKING:
    import h5py

CACHE_BYTES = 64 * 2**20  # of unpacked HDF5 chunks an open file: a row may lie in many, which the rows behind it share
CACHE_SLOTS = 12421  # a prime, some hundred times as many as there are chunks, as HDF5's manual asks for
MOST_OPEN = 4  # files at once, each with a cache


class _Opened(NamedTuple):
    """A file that is open."""

    states: dict[Path, tuple[int, int, int]]
    """Its inode, size and time when it was opened, and those of the files that its datasets refer to."""
    handle: "h5py.File"
    datasets: dict[str, StoredRows]
    """Those asked for so far: HDF5 forgets what it has unpacked when a dataset is closed."""
    linked: ExitStack
    """Files that external links lead to."""


_opened: dict[tuple[int, Path], _Opened] = {}
_opening = threading.Lock()


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The rows of the datasets that `fields` names in files below `path`."""
    open_below = partial(open_array, root=path)
    listing = list_rows(path, fields, open_below)
    return replace(listing, containers=containers_of(path, locations_of(fields), open_below))


def digest_of_containers(path: Path, fields: Fields, known: Containers) -> str:
    """Digest of what is named, and of sizes and times of the files, those that they refer to among them.

    known: what the manifest's record says of them.
    """
    return fields_digest(path, fields, files_behind(path, fields, known))


def opener_below(root: Path) -> ArrayOpener:
    """Opens the arrays of a dataset in `root`."""
    return partial(open_array, root=root)


def open_array(file: Path, key: str, root: Path | None = None) -> Rows:
    """A dataset of an HDF5 file, of which only rows with stored bytes are read.

    root: the folder that all files lie in that it refers to; None: its own. UnchokeError where the file is none, has no
    such dataset, or refers to a file outside of the folder.
    """
    opened, root = _open(file), root or file.parent
    if key not in opened.datasets:
        from unchoke.sources.arrays.hdf5_rows import gaps_of

        folder = Folder(root)
        try:
            dataset, place = dataset_at(opened.linked, opened.handle, file, key, folder)
        except MissingError as error:
            if folder.referred:
                raise broken_file("A link in an HDF5 file leads nowhere.", str(error), file) from None
            raise missing_key(key, _keys(opened.handle), file) from None
        gaps = gaps_of(dataset, place, folder)
        opened.states.update((root / name, _state(root / name)) for name in folder.referred)
        opened.datasets[key] = StoredRows(dataset, gaps, tuple(folder.referred))
    return opened.datasets[key]


def array_names(file: Path) -> list[str]:
    """The names of all datasets of a file; UnchokeError where it is no HDF5 file."""
    return _keys(_open(file).handle)


def _open(file: Path) -> _Opened:
    """The open file, the same one until it or a file that it refers to changes; a forked process opens its own."""
    name = (os.getpid(), file)
    with _opening:
        kept = _opened.get(name)
        if kept is None or any(_state(place) != state for place, state in kept.states.items()):
            kept = None
            _opened.pop(name, None)  # first, or HDF5 would hand out what it knows of the old one
            if len(_opened) >= MOST_OPEN:
                _opened.pop(next(iter(_opened)))
            _opened[name] = _Opened({file: _state(file)}, _open_anew(file), {}, ExitStack())
        return _opened[name]


def _state(file: Path) -> tuple[int, int, int]:
    """Inode, size and time of a file; zeros where there is none."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


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
