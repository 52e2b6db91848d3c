"""Which rows of an HDF5 dataset have no stored bytes, of every layout that HDF5 has."""

import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from unchoke.sources.arrays.array import check_rows
from unchoke.sources.arrays.gaps import NEVER_WRITTEN, Gaps
from unchoke.sources.arrays.hdf5_files import VIRTUAL, Folder, MissingError, dataset_at, opened
from unchoke.sources.arrays.hdf5_mappings import Mapping, mappings_of

Place = tuple[str, str]
"""The real path of a file, and the name of a dataset in it."""

Found = tuple[tuple[int, ...], Gaps]
"""The shape of a source, and its own gaps."""


def gaps_of(dataset: Any, file: Path, folder: Folder) -> Gaps:
    """The gaps of a dataset in the open `file`; other files that it refers to are noted in `folder`.

    UnchokeError where it refers to a file that must not be read.
    """
    return _Survey(folder).gaps(dataset, file, frozenset())


class _Survey:
    """One look at a dataset and at the sources below it, each of which is looked at once."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._known: dict[Place, Found] = {}

    def gaps(self, dataset: Any, file: Path, above: frozenset[Place]) -> Gaps:
        """The gaps of a dataset; above: the datasets whose source it is."""
        layout = dataset.id.get_create_plist().get_layout()
        if layout == h5py.h5d.VIRTUAL:
            return self._virtual(dataset, file, above | {(os.path.realpath(file), dataset.name)})
        gaps = _no_gaps(dataset, file)
        if not gaps.rows:
            return gaps
        if layout == h5py.h5d.CHUNKED:
            _mark_chunks(dataset, gaps)
        elif dataset.external:
            self._mark_storage(dataset, file, gaps)
        elif layout == h5py.h5d.CONTIGUOUS and dataset.id.get_storage_size() == 0:
            gaps.add(slice(None), NEVER_WRITTEN)
        return gaps

    def _mark_storage(self, dataset: Any, file: Path, gaps: Gaps) -> None:
        """External storage is one row of bytes that begins in the first raw file and goes on in the next."""
        row_bytes = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
        start, end = 0, gaps.rows * row_bytes
        for name, offset, size in dataset.external:
            stop = min(start + size, end)
            try:
                there = max(self.folder.find_storage(name, file).stat().st_size - offset, 0)
                reason = f"{Path(name).name} is too short"
            except MissingError as error:
                there, reason = 0, str(error)
            if start + there < stop:
                gaps.add(slice((start + there) // row_bytes, math.ceil(stop / row_bytes)), reason)
            start = stop

    def _virtual(self, dataset: Any, file: Path, above: frozenset[Place]) -> Gaps:
        mappings = mappings_of(dataset, lambda name, key: self._is_there(name, key, file, above))
        gaps = _no_gaps(dataset, file)  # behind the sources' check: HDF5 opens some for the shape
        if not gaps.rows:
            return gaps
        values_N = np.zeros(gaps.rows, np.int64)
        for mapping in mappings:
            values_N[mapping.rows] += mapping.row_values
            self._mark_source(mapping, file, above, gaps)
        if len(bare := np.flatnonzero(values_N < math.prod(dataset.shape[1:]))):
            gaps.add(bare, "no source is mapped to it")
        return gaps

    def _is_there(self, name: str, key: str, file: Path, above: frozenset[Place]) -> bool:
        try:
            self._source(name, key, file, above)
        except MissingError:
            return False
        return True

    def _mark_source(self, mapping: Mapping, file: Path, above: frozenset[Place], gaps: Gaps) -> None:
        """Mark the rows that one source gives, or should give."""
        try:
            shape, own = self._source(mapping.file, mapping.key, file, above)
        except MissingError as error:
            gaps.add(mapping.rows, f"its source {error}")
            return
        name = Path(mapping.file).name if mapping.file != "." else file.name
        source_rows = mapping.source_rows(shape)
        if source_rows is None:
            gaps.add(mapping.rows, f"its source {name} has the shape {shape}, which does not fit")
            return
        rows, pairs = mapping.row_numbers(), mapping.pairs(shape)
        short = source_rows >= (shape[0] if shape else 1)
        _mark(gaps, rows, short, pairs, f"its source {name} is too short")
        for reason, missing in own.by_reason().items():
            _mark(gaps, rows, np.isin(source_rows, missing), pairs, f"{reason} (in its source {name})")

    def _source(self, name: str, key: str, file: Path, above: frozenset[Place]) -> Found:
        """Shape and gaps of a source; MissingError where it is not there or cannot be read."""
        with ExitStack() as stack:
            where = file if name == "." else self.folder.find(name, file, VIRTUAL)
            place = os.path.realpath(where), f"/{key.strip('/')}"
            if place in above:
                raise MissingError(f"{where.name} is mapped to itself")
            if place not in self._known:
                dataset, place_file = dataset_at(stack, opened(stack, where), where, key, self.folder)
                gaps = self.gaps(dataset, place_file, above | {place})
                self._known[place] = dataset.shape or (), gaps
            return self._known[place]


def _no_gaps(dataset: Any, file: Path) -> Gaps:
    check_rows(dataset.shape or (), f"{file}, {dataset.name}")
    return Gaps(dataset.shape[0] if dataset.shape else 0)


def _mark(gaps: Gaps, rows: Any, missing: Any, pairs: bool, reason: str) -> None:
    """Mark the rows whose own source row is missing; all of them where rows have no source row of their own."""
    if missing.any():
        gaps.add(rows[missing] if pairs else rows, reason)


def _mark_chunks(dataset: Any, gaps: Gaps) -> None:
    """Rows are stored where every chunk across them is."""
    bands, *across = (math.ceil(size / chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    full = math.prod(across)
    if dataset.id.get_num_chunks() >= bands * full:
        return
    length, stored_B = dataset.chunks[0], np.zeros(bands, np.int64)

    def note(chunk: Any) -> None:
        stored_B[chunk.chunk_offset[0] // length] += 1

    dataset.id.chunk_iter(note)
    bare_N = np.repeat(stored_B < full, length)[: gaps.rows]
    gaps.add(np.flatnonzero(bare_N), NEVER_WRITTEN)
