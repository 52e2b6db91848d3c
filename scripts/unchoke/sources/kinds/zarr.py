"""Images in Zarr stores on disk, of format 2 or 3, read in place."""

import math
import os
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from unchoke.sources.arrays.array import ArrayOpener, Rows, broken_file, check_rows, missing_key
from unchoke.sources.arrays.folders import files_of_store, refuse_unfit_store
from unchoke.sources.arrays.gaps import NEVER_WRITTEN, Gaps, StoredRows
from unchoke.sources.arrays.listing import fields_digest, list_rows
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing

if TYPE_CHECKING:
    import zarr


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The rows of the arrays that `fields` names in stores below `path`.

    A chunk that is not there stands for the array's fill value, as everywhere in Zarr; where format 2 gives none, its
    rows cannot be read.
    """
    return list_rows(path, fields, partial(_open_checked, path))


def listing_digest(path: Path, group: str | None, fields: Fields) -> str:
    """Digest of what is named, and of sizes and times of the arrays' metadata and chunks."""
    return fields_digest(path, fields)


def opener_below(root: Path) -> ArrayOpener:
    """Opens the arrays of a dataset in `root`."""
    return open_array


def open_array(file: Path, key: str) -> Rows:
    """An array of a Zarr store; UnchokeError where the folder is none, or has no such array. key: empty where the
    store is the array."""
    import zarr

    try:
        array = zarr.open_array(file, path=key, mode="r")
    except FileNotFoundError:  # no array there, or no store
        raise missing_key(key, [name for name in array_names(file) if name], file) from None
    except (ValueError, KeyError, TypeError) as error:
        raise broken_file("The metadata of a Zarr store cannot be read.", error, file) from None
    if array.metadata.fill_value is not None:
        rows: Rows = array
        return rows
    check_rows(array.shape, f"{file}, {key}")
    return StoredRows(array, _gaps(array, file / key))


def _open_checked(root: Path, file: Path, key: str) -> Rows:
    """The same, where all files of the array may be read."""
    refuse_unfit_store(file / key, root)
    return open_array(file, key)


def _gaps(array: "zarr.Array", folder: Path) -> Gaps:
    """Rows of an array without a fill value in a chunk that is not there."""
    gaps = Gaps(array.shape[0] if array.shape else 0)
    there = {os.path.relpath(name, folder) for name, _ in files_of_store(folder)}
    bands, *across = (math.ceil(size / chunk) for size, chunk in zip(array.shape, array.chunks, strict=True))
    for band in range(bands):
        places = product([band], *map(range, across))
        if not all(array.metadata.encode_chunk_key(place) in there for place in places):
            gaps.add(slice(band * array.chunks[0], (band + 1) * array.chunks[0]), NEVER_WRITTEN)
    return gaps


def array_names(file: Path) -> list[str]:
    """The names of all arrays of a store; one empty name where the store is an array, none where it is neither."""
    import zarr

    try:
        store = zarr.open(file, mode="r")
    except (FileNotFoundError, ValueError):
        return []
    if isinstance(store, zarr.Array):
        return [""]
    return sorted(name for name, found in store.members(max_depth=None) if isinstance(found, zarr.Array))
