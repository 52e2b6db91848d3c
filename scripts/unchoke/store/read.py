"""A sealed store is read once every chunk has been compared with its seal."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from unchoke.errors import UnchokeError, mend
from unchoke.machine.receipts import difference
from unchoke.signed import signed_content
from unchoke.store.chunks import VALID, check_digest, seal_file
from unchoke.store.cuts import chunk_count
from unchoke.store.zarr_bytes import (
    METADATA,
)


@dataclass(frozen=True)
class FeatureStore:
    """A sealed store that has been found complete. Made by ``open_complete``."""

    path: Path
    seal: dict[str, Any]

    @cached_property
    def group(self) -> zarr.Group:
        """The arrays as Zarr sees them."""
        return zarr.open_group(self.path, mode="r")

    def features(self, pool: str) -> NDArray[np.floating]:
        """All features of a pool, float16 or float32 (N, D), in the order of the image ids."""
        if pool not in self.seal["widths"]:
            raise UnchokeError(
                f"The store has no pool '{pool}'.", found=", ".join(self.seal["widths"]), where=str(self.path)
            )
        return np.asarray(self.group[pool][:])  # type: ignore[index]

    def rows(self, name: str, row_B: NDArray[np.int64]) -> NDArray[Any]:
        """Some rows of an array in the order asked for, each of its chunks decoded once."""
        array, chunk_size = self.group[name], self.seal["chunk_size"]
        values = np.empty((len(row_B), *array.shape[1:]), array.dtype)  # type: ignore[union-attr]
        for chunk in np.unique(row_B // chunk_size):
            start, wanted = chunk * chunk_size, row_B // chunk_size == chunk
            values[wanted] = np.asarray(array[start : start + chunk_size])[row_B[wanted] - start]  # type: ignore[index]
        return values

    def valid(self) -> NDArray[np.bool_]:
        """bool (N,): whether the image of the row could be read."""
        return np.asarray(self.group[VALID][:])  # type: ignore[index]


def open_complete(store: Path) -> FeatureStore:
    """Open a sealed store after comparing every chunk with its seal.

    Zarr itself would put zeros in the place of a missing chunk. Raises UnchokeError with the missing or changed
    chunk and the command that rebuilds it.
    """
    if not (store / METADATA).exists() or not seal_file(store).exists():
        raise UnchokeError(
            "The features are not sealed: some chunks are still to be made.",
            where=str(store),
            do=f"finish them: snakemake --cores all {store / METADATA}",
        )
    record = read_seal(store)
    for key, expected in record.get("metadata", {}).items():  # version 1 of the seal had none
        if found := difference(store / key, expected):
            raise damaged_seal(store, store / key, found, f"sha256 {expected}, as it was sealed")
    for name, digests in record["sha256"].items():
        axes = record.get("axes", {}).get(name, 2)
        for chunk, expected in enumerate(digests):
            check_digest(store, name, chunk, axes, expected)
    return FeatureStore(store, record)


def read_seal(store: Path) -> dict[str, Any]:
    """The seal of a store; UnchokeError where it is missing, changed, or lists fewer chunks than it has images for."""
    return read_seal_file(seal_file(store))


def read_seal_file(path: Path) -> dict[str, Any]:
    """``read_seal`` for the path of the seal."""
    store = path.with_name(path.name.replace(".sealed.json", ".zarr"))
    if not path.is_file():
        raise damaged_seal(store, path, "no file")
    content = signed_content(path.read_bytes(), sealed_before)
    if content is None:
        raise damaged_seal(store, path, "another digest than the one that it holds")
    if found := seal_problem(content):
        raise damaged_seal(store, path, found, "a digest of every chunk")
    return content


def sealed_before(seal: dict[str, Any]) -> bool:
    """Whether a seal was written before seals were signed."""
    return bool(seal.get("version", 1) == 1)


def seal_problem(seal: dict[str, Any]) -> str:
    """What is wrong with the digests in a seal; empty where there is one for each chunk."""
    try:
        digests, widths = dict(seal["sha256"]), list(seal["widths"])
        chunks = chunk_count(seal["images"], seal["chunk_size"] * seal.get("chunks_per_shard", 1))
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        return f"no seal of ours: {error}"
    short = [name for name in (VALID, *widths) if len(digests.get(name, [])) != chunks]
    return f"{len(digests.get(short[0], []))} digests of {short[0]} for {chunks} chunks" if short else ""


def damaged_seal(store: Path, path: Path, found: str, expected: str = "") -> UnchokeError:
    """The error for a damaged file of the seal's job, with the command that writes it again."""
    problem = f"The seal or the metadata of {store.stem} is missing or changed."
    return UnchokeError(problem, found=found, expected=expected, where=str(path), do=mend(store / METADATA))


def open_views(paths: Sequence[Path]) -> dict[str, FeatureStore]:
    """Sealed stores of one encoder by the view that each holds; UnchokeError where they are of several encoders."""
    opened = [open_complete(path) for path in paths]
    views = [store.seal["settings"].get("view") for store in opened]
    if None in views or len(set(views)) < len(views):
        raise UnchokeError(
            "The stores are not those of different views.",
            found=", ".join(
                f"{path}: {view or 'made by another version'}" for path, view in zip(paths, views, strict=True)
            ),
            do="give one store for each view; bring old ones up to date: snakemake --cores all",
        )
    made_by = [{**store.seal["settings"], "view": None} for store in opened]
    for store, settings in zip(opened, made_by, strict=True):
        if settings != made_by[0]:
            raise UnchokeError(
                "The views are of different encoders or settings.",
                found=str(store.path),
                expected=f"the settings of {opened[0].path}",
                do="give the stores of one encoder",
            )
    return dict(zip(views, opened, strict=True))
