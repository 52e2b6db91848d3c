"""Stage: how two sealed stores differ, for example two machines' features of the same images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unchoke.store.chunks import VALID
from unchoke.store.origin import read_origin
from unchoke.store.read import FeatureStore
from unchoke.store.remote import RemoteStore

LONGEST_LIST = 12  # chunks that a text names
LONGEST_VALUE = 60  # characters of a setting that a text shows

Store = FeatureStore | RemoteStore


@dataclass(frozen=True)
class ArrayDifference:
    """How the values of one array differ."""

    chunks: tuple[int, ...]
    """Files of the first store in which some value differs."""
    rows: int
    """Rows in which some value differs."""
    absolute: float
    """Largest difference of two values."""
    relative: float
    """Largest relative difference of two rows: the L2 norm of their difference over the larger of their norms."""
    exact: bool
    """Whether the values must be equal, because they are not floating-point numbers."""

    def within(self, tolerance: float) -> bool:
        """Whether no row differs by more than `tolerance`, relative; exact values may not differ at all."""
        return self.rows == 0 or (not self.exact and self.relative <= tolerance)

    def __str__(self) -> str:
        if not self.rows:
            return "equal"
        figures = f"at most {self.absolute:.3g} absolute, {self.relative:.3g} relative"
        return f"{self.rows:,} rows differ, {figures}, {_listed(self.chunks)}"


@dataclass(frozen=True)
class Comparison:
    """How two stores differ; ``str()`` gives one page of text. Rows are compared by their place."""

    names: tuple[str, str]
    tolerance: float
    rows: tuple[int, int]
    identical: bool
    """Whether the digests of all files are the same."""
    other_rows: tuple[int, ...] | None
    """Chunks that were made from other rows of the manifest (paths, sizes or times); None where chunks are of different
    sizes, so that their rows cannot be compared."""
    arrays: dict[str, ArrayDifference]
    """Arrays that both stores have. Rows whose image either could not read are left out, and counted by ``valid``."""
    unmatched: dict[str, str]
    """Arrays that only one store has, or that have other shapes."""
    settings: dict[str, tuple[str, str]]
    """Settings that differ, weights and version among them."""
    makers: dict[str, tuple[str, str]]
    """Hosts, devices, releases and commits that differ."""

    @property
    def equal(self) -> bool:
        """Whether all rows are there in both and have the same values."""
        return self._agree(0.0) and not any(array.rows for array in self.arrays.values())

    @property
    def within_tolerance(self) -> bool:
        """Whether all rows are there in both and differ by no more than the tolerance."""
        return self._agree(self.tolerance)

    def _agree(self, tolerance: float) -> bool:
        same_rows = self.rows[0] == self.rows[1] and not self.unmatched
        return same_rows and all(array.within(tolerance) for array in self.arrays.values())

    def __str__(self) -> str:
        return "\n".join([f"a: {self.names[0]}", f"b: {self.names[1]}", *self._lines()])

    def _lines(self) -> Iterator[str]:
        yield self._verdict()
        if self.rows[0] != self.rows[1]:
            yield f"rows: {self.rows[0]:,} in a, {self.rows[1]:,} in b; only the first {min(self.rows):,} are compared"
        if self.other_rows is None:
            yield "rows of the manifest: not compared, as the chunks are of different sizes"
        elif self.other_rows:
            yield f"rows of the manifest (paths, sizes or times) differ in {_listed(self.other_rows)}"
        yield from (f"{name}: {text}" for name, text in self.unmatched.items())
        for name, found in self.arrays.items():
            yield f"{name}: {found}"
        for kind, facts in (("setting", self.settings), ("made by", self.makers)):
            yield from (
                f"{kind} {name}: {_short(first)} in a, {_short(second)} in b" for name, (first, second) in facts.items()
            )

    def _verdict(self) -> str:
        if self.identical:
            return "equal: every file has the same digest"
        if self.equal:
            return "equal: all values are the same, in other files"
        return f"{'within' if self.within_tolerance else 'not within'} a tolerance of {self.tolerance:g}, relative"


def compare_stores(a: Store, b: Store, tolerance: float = 0.0) -> Comparison:
    """How the rows of two opened stores differ, row by row in their order.

    tolerance: relative difference of a row up to which it counts as the same; see ``ArrayDifference.relative``.
    Files with the same digest are not read; of others at most a few chunks are in memory at a time.
    """
    rows = (int(a.seal["images"]), int(b.seal["images"]))
    names_a, names_b = a.seal["sha256"], b.seal["sha256"]
    unmatched = {name: "only in a" if name in names_a else "only in b" for name in sorted({*names_a} ^ {*names_b})}
    both = [name for name in names_a if name in names_b]
    for name in both:
        if (shapes := (_array(a, name).shape[1:], _array(b, name).shape[1:]))[0] != shapes[1]:
            unmatched[name] = f"rows of shape {shapes[0]} in a, {shapes[1]} in b"
    same_cut = _file_rows(a) == _file_rows(b)
    return Comparison(
        names=(_name(a), _name(b)),
        tolerance=tolerance,
        rows=rows,
        identical=same_cut and rows[0] == rows[1] and names_a == names_b,
        other_rows=_other_rows(a, b) if same_cut else None,
        arrays={name: _difference(a, b, name) for name in both if name not in unmatched},
        unmatched=unmatched,
        settings=_differing(a.seal["settings"], b.seal["settings"]),
        makers=_differing(_makers(a), _makers(b)),
    )


def _difference(a: Store, b: Store, name: str) -> ArrayDifference:
    """Of one array, a block of rows at a time."""
    first, second = _array(a, name), _array(b, name)
    exact = not np.issubdtype(first.dtype, np.floating)
    chunks: set[int] = set()
    rows, absolute, relative = 0, 0.0, 0.0
    for start, stop in _blocks(a, b, name):
        x, y = np.asarray(first[start:stop]), np.asarray(second[start:stop])
        if name != VALID:
            both_N = np.asarray(_array(a, VALID)[start:stop]) & np.asarray(_array(b, VALID)[start:stop])
            x, y = x[both_N], y[both_N]
        differing = (x != y) & ~((x != x) & (y != y))  # two NaN are the same
        differing_N = differing.any(axis=tuple(range(1, differing.ndim)))
        if differing_N.any():
            chunks.add(start // _file_rows(a))
            rows += int(differing_N.sum())
            largest = row_differences(x[differing_N], y[differing_N])
            absolute, relative = max(absolute, largest[0]), max(relative, largest[1])
    return ArrayDifference(tuple(sorted(chunks)), rows, absolute, relative, exact)


def row_differences(x: NDArray[Any], y: NDArray[Any]) -> tuple[float, float]:
    """Largest absolute and relative difference of the rows of two arrays (N, …), as ``ArrayDifference`` has them.

    Computed in float64. Where a value is not finite in one array alone both are infinite.
    """
    x_ND, y_ND = (values.reshape(len(values), -1).astype(np.float64) for values in (x, y))
    with np.errstate(invalid="ignore"):
        difference_ND = np.where((x_ND == y_ND) | (np.isnan(x_ND) & np.isnan(y_ND)), 0.0, np.abs(x_ND - y_ND))
    difference_ND[np.isnan(difference_ND)] = np.inf
    if np.isinf(difference_ND).any():
        return np.inf, np.inf
    lengths = [np.sqrt((np.nan_to_num(values, posinf=0, neginf=0) ** 2).sum(1)) for values in (x_ND, y_ND)]
    longer_N, between_N = np.maximum(*lengths), np.sqrt((difference_ND**2).sum(1))
    relative_N = np.divide(between_N, longer_N, out=np.zeros_like(between_N), where=longer_N > 0)
    return float(difference_ND.max(initial=0.0)), float(relative_N.max(initial=0.0))


def _blocks(a: Store, b: Store, name: str) -> Iterator[tuple[int, int]]:
    """Rows to read together: the chunks of the first store whose files have another digest in the second."""
    n_rows, size, file_rows = min(a.seal["images"], b.seal["images"]), int(a.seal["chunk_size"]), _file_rows(a)
    digests = (a.seal["sha256"][name], b.seal["sha256"][name])
    same_cut = file_rows == _file_rows(b)
    for start in range(0, n_rows, size):
        file = start // file_rows
        if not (same_cut and digests[0][file] == digests[1][file]):
            yield start, min(start + size, n_rows)


def _file_rows(store: Store) -> int:
    """Rows in one file of an array, which is a chunk or a shard."""
    return int(store.seal["chunk_size"]) * int(store.seal.get("chunks_per_shard", 1))


def _array(store: Store, name: str) -> Any:
    return store.group[name]


def _name(store: Store) -> str:
    return store.url if isinstance(store, RemoteStore) else str(store.path)


def _other_rows(a: Store, b: Store) -> tuple[int, ...]:
    digests = zip(a.seal.get("rows_sha256", []), b.seal.get("rows_sha256", []), strict=False)
    return tuple(chunk for chunk, (first, second) in enumerate(digests) if first != second)


def _makers(store: Store) -> dict[str, Any]:
    """For each key of the records, its values over all machines that made chunks of a store."""
    origin = store.origin if isinstance(store, RemoteStore) else read_origin(store.path)
    makers = [group["by"] for group in origin.get("made", [])]
    keys = sorted({key for by in makers for key in by})
    return {key: " | ".join(sorted({str(by.get(key)) for by in makers})) for key in keys}


def _differing(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[str, str]]:
    keys = sorted(key for key in {*a, *b} if a.get(key) != b.get(key))
    return {key: (str(a.get(key, "not recorded")), str(b.get(key, "not recorded"))) for key in keys}


def _listed(chunks: tuple[int, ...]) -> str:
    more = f" and {len(chunks) - LONGEST_LIST:,} more" if len(chunks) > LONGEST_LIST else ""
    return f"chunk{'s' if len(chunks) > 1 else ''} {', '.join(map(str, chunks[:LONGEST_LIST]))}{more}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
