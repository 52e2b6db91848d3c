"""Images in Zarr stores on disk, of format 2 or 3, read in place."""

from collections.abc import Sequence
from pathlib import Path

from unchoke.arrays import Rows, broken_file, missing_key
from unchoke.arrays.listing import fields_digest, list_rows
from unchoke.locations import NO_FIELDS, Fields
from unchoke.sources import Listing, Reader


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The rows of the arrays that `fields` names in stores below `path`.

    A chunk that is not there stands for the array's fill value, as everywhere in Zarr.
    """
    return list_rows(path, fields, open_array)


def listing_digest(path: Path, group: str | None, fields: Fields) -> str:
    """Digest of what is named, and of sizes and times of the arrays' metadata and chunks."""
    return fields_digest(path, fields)


def open_images(root: Path, names: Sequence[str]) -> list[Reader]:
    """A reader for each row."""
    from unchoke.arrays.reading import open_rows

    return open_rows(root, names, open_array)


def open_array(file: Path, key: str) -> Rows:
    """An array of a Zarr store; UnchokeError where the folder is none, or has no such array. key: empty where the
    store is the array."""
    import zarr

    try:
        array: Rows = zarr.open_array(file, path=key, mode="r")
    except FileNotFoundError:  # no array there, or no store
        raise missing_key(key, _keys(file), file) from None
    except (ValueError, KeyError, TypeError) as error:
        raise broken_file("The metadata of a Zarr store cannot be read.", error, file) from None
    return array


def _keys(file: Path) -> list[str]:
    """The names of all arrays of a store; none where it is no group."""
    import zarr

    try:
        group = zarr.open_group(file, mode="r")
    except (FileNotFoundError, ValueError):
        return []
    return sorted(name for name, found in group.members(max_depth=None) if isinstance(found, zarr.Array))
