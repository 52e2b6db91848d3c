"""Images in .npy files, read in place."""

from collections.abc import Sequence
from pathlib import Path

from unchoke.sources.arrays.listing import fields_digest, list_rows
from unchoke.sources.arrays.npy import open_npy
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing, Reader


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The rows of the .npy files that `fields` names below `path`."""
    return list_rows(path, fields, open_npy)


def listing_digest(path: Path, group: str | None, fields: Fields) -> str:
    """Digest of what is named, and of the files' sizes and times."""
    return fields_digest(path, fields)


def open_images(root: Path, names: Sequence[str]) -> list[Reader]:
    """A reader for each row."""
    from unchoke.sources.arrays.reading import open_rows

    return open_rows(root, names, open_npy)
