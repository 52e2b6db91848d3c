"""Images in .npy files, read in place."""

from pathlib import Path

from unchoke.sources.arrays.array import ArrayOpener
from unchoke.sources.arrays.listing import fields_digest, list_rows
from unchoke.sources.arrays.npy import open_npy
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The rows of the .npy files that `fields` names below `path`."""
    return list_rows(path, fields, open_npy)


def listing_digest(path: Path, group: str | None, fields: Fields) -> str:
    """Digest of what is named, and of the files' sizes and times."""
    return fields_digest(path, fields)


def opener_below(root: Path) -> ArrayOpener:
    """Opens the arrays of a dataset in `root`."""
    return open_npy
