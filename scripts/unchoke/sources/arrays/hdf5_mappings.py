"""Mappings of HDF5's virtual datasets: which rows come from which rows of which source."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

_UNLIMITED = 2**64 - 1
_NUMBER = "%b"


class Along(NamedTuple):
    """A regular selection along one axis: so many blocks of `block` values, which begin every `stride`."""

    start: int
    stride: int
    blocks: int
    block: int

    def numbers(self, most: int | None = None) -> NDArray[np.int64]:
        """The places that are selected; of an unlimited selection the first `most`."""
        count = self.blocks
        if count == _UNLIMITED:
            assert most is not None, "an unlimited selection has no end of its own"
            count = math.ceil(most / self.block)
        starts = self.start + self.stride * np.arange(count, dtype=np.int64)
        return (starts[:, None] + np.arange(self.block)).reshape(-1)[:most]

    def within(self, size: int) -> "Along":
        """An unlimited selection up to the end of an axis; others as they are."""
        if self.blocks != _UNLIMITED:
            return self
        return self._replace(blocks=max(math.ceil((size - self.start) / self.stride), 0))

    def length(self, size: int) -> int:
        """Number of selected values below `size`."""
        return self.blocks * self.block if self.stop <= size else int((self.numbers() < size).sum())

    @property
    def stop(self) -> int:
        """Behind the last value."""
        return self.start + self.stride * (self.blocks - 1) + self.block


@dataclass(frozen=True)
class Mapping:
    """A part of a virtual dataset, and the part of its source that it shows."""

    file: str
    key: str
    target: tuple[Along, ...]
    """An axis each."""
    source: tuple[Along, ...] | None
    """None: all of it."""
    shape: tuple[int, ...] = ()
    """Of the virtual dataset."""
    in_order: bool = True
    """Whether both selections are regular, so that their rows have the same order."""

    @property
    def rows(self) -> "slice | NDArray[np.int64]":
        """The rows of the virtual dataset, as an index."""
        first = self.target[0]
        return slice(first.start, first.stop) if first.blocks == 1 else self.row_numbers()

    def row_numbers(self) -> NDArray[np.int64]:
        """The rows of the virtual dataset, one by one."""
        numbers = self.target[0].numbers()
        return numbers[numbers < self.shape[0]]

    @property
    def row_values(self) -> int:
        """How many values of each row come from the source."""
        return math.prod(along.length(size) for along, size in zip(self.target[1:], self.shape[1:], strict=True))

    def source_rows(self, shape: tuple[int, ...]) -> NDArray[np.int64] | None:
        """The rows of the source in order, even beyond its end; None where the shapes do not fit."""
        rows = self.row_numbers()
        if self.source is None:
            needed = len(rows) * self.row_values
            row_values = math.prod(shape[1:])
            if not shape:  # a single value
                return np.arange(min(needed, 2))
            return np.arange(math.ceil(needed / row_values)) if row_values else None
        if not shape or len(shape) != len(self.source):
            return None
        first, *others = self.source
        limited = [along.within(size) for along, size in zip(others, shape[1:], strict=True)]
        if any(along.stop > size for along, size in zip(limited, shape[1:], strict=True)):
            return None
        return first.numbers(len(rows) if first.blocks == _UNLIMITED else None)

    def pairs(self, shape: tuple[int, ...]) -> bool:
        """Whether each row shows one row of the source, whose shape this is."""
        if not self.in_order or not shape:
            return False
        if self.source is None:
            return math.prod(shape[1:]) == self.row_values
        limited = [along.within(size) for along, size in zip(self.source[1:], shape[1:], strict=True)]
        values, rows = math.prod(along.blocks * along.block for along in limited), self.source_rows(shape)
        return rows is not None and len(rows) == len(self.row_numbers()) and values == self.row_values


def mappings_of(dataset: Any, is_there: Callable[[str, str], bool]) -> list[Mapping]:
    """The mappings of a virtual dataset. is_there: whether a file has a dataset, which ends the row of ``%b`` sources.

    The dataset's shape is asked for behind all calls of `is_there`, since HDF5 opens such sources for it.
    """
    found = [mapping for virtual in dataset.virtual_sources() for mapping in _parts(virtual, is_there)]
    shape = tuple(dataset.shape)
    return [
        replace(mapping, shape=shape, target=target)
        for mapping in found
        if (target := tuple(along.within(size) for along, size in zip(mapping.target, shape, strict=True)))
        and target[0].blocks
    ]


def _parts(virtual: Any, is_there: Callable[[str, str], bool]) -> Iterator[Mapping]:
    """A mapping as it is; of numbered sources one for each that is there, of irregular ones one for each block."""
    source = _selection(virtual.src_space)
    if virtual.vspace.get_select_type() != h5py.h5s.SEL_HYPERSLABS or virtual.vspace.is_regular_hyperslab():
        target = _selection(virtual.vspace)
        assert target is not None
        whole = Mapping(virtual.file_name, virtual.dset_name, target, source, in_order=_is_regular(virtual.src_space))
        yield from _numbered(whole, is_there)
        return
    for low, high in virtual.vspace.get_select_hyper_blocklist():
        block = tuple(Along(int(start), 1, 1, int(stop - start) + 1) for start, stop in zip(low, high, strict=True))
        yield Mapping(virtual.file_name, virtual.dset_name, block, source, in_order=False)


def _numbered(whole: Mapping, is_there: Callable[[str, str], bool]) -> Iterator[Mapping]:
    axis = next((axis for axis, along in enumerate(whole.target) if along.blocks == _UNLIMITED), None)
    names = (whole.file, whole.key)
    if axis is None or not any(_NUMBER in name.replace("%%", "") for name in names):
        yield replace(whole, file=names[0].replace("%%", "%"), key=names[1].replace("%%", "%"))
        return
    number, along = 0, whole.target[axis]
    while is_there(*(named := [_with_number(name, number) for name in names])):
        part = along._replace(start=along.start + number * along.stride, blocks=1)
        target = (*whole.target[:axis], part, *whole.target[axis + 1 :])
        yield replace(whole, file=named[0], key=named[1], target=target)
        number += 1


def _with_number(name: str, number: int) -> str:
    return "%".join(part.replace(_NUMBER, str(number)) for part in name.split("%%"))


def _is_regular(space: Any) -> bool:
    kind = space.get_select_type()
    return bool(kind == h5py.h5s.SEL_ALL or (kind == h5py.h5s.SEL_HYPERSLABS and space.is_regular_hyperslab()))


def _selection(space: Any) -> tuple[Along, ...] | None:
    """A selection, axis by axis; of an irregular one the box around it; None for all of a source."""
    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        return tuple(Along(0, 1, 1, size) for size in space.get_simple_extent_dims()) or None
    if kind == h5py.h5s.SEL_HYPERSLABS and space.is_regular_hyperslab():
        return tuple(Along(*map(int, along)) for along in zip(*space.get_regular_hyperslab(), strict=True))
    low, high = space.get_select_bounds()
    return tuple(Along(int(start), 1, 1, int(stop - start) + 1) for start, stop in zip(low, high, strict=True))
