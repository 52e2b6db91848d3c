"""Sources of images, one module a kind, each with ``list_images(path, group, fields) -> Listing``.

A module may have more functions. ``opener_below(root)`` gives the opener of arrays whose rows are images.
``open_images(root, paths)`` reads other images that are not files of their own.
``listing_digest(path, group, fields)`` is a quicker way than to list. ``digest_of_containers(path, fields, known)`` is
for files that refer to others. ``prerequisites(path)`` and ``recipe_digest()`` are for images that a rule makes. A
digest reads only names, sizes and times, and imports neither torch, pandas nor NumPy, since the Snakefile computes it
at every start.
"""

import argparse
import importlib
import json
import os
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.hashing import sha256_bytes
from unchoke.names import MASK_KINDS
from unchoke.sources.locations import ARRAY_KINDS, NO_FIELDS, Fields, known_split
from unchoke.texts import clean_text, spellings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Reader: TypeAlias = "Callable[[], bytes | NDArray[np.uint8]]"
"""Gives the bytes of an image file, or pixels, uint8 (H, W, 3); raises errors.UnreadableImageError with the
reason."""

Content: TypeAlias = "bytes | NDArray[np.uint8] | UnreadableImageError"
"""Bytes of an image file; pixels, uint8, of an image (H, W, 3) or of n rows of an array (n, H, W, 3); or the error that
prevented reading an image."""


class ImageFile(NamedTuple):
    """One image as its source gives it; empty text where the source says nothing."""

    path: str
    """Below the source's root, with forward slashes; of an array ``file:key[row]``, of a tar ``shard.tar/member``."""
    label: str
    split: str
    group: str
    size_bytes: int
    """Of the image's file, or of its pixels in an array; -1 where there is no such file."""
    mtime_ns: int
    """Of the file that holds it, nanoseconds since 1970; 0 where there is no such file."""


@dataclass(frozen=True)
class Listing:
    """All images of a source, and how many files it left out, by the ending of their names."""

    root: Path
    images: list[ImageFile]
    """In the order in which new images get their ids."""
    left_out: Counter[str] = field(default_factory=Counter)
    containers: Mapping[str, Mapping[str, list[int]]] = field(default_factory=dict)
    """Of HDF5 the files that each location is read from; see ``arrays.listing.Containers``."""


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that reads the images of a source: ``--kind``, ``--root``, ``--max-pixels``."""
    parser.add_argument("--kind", required=True, help="kind of source, dataset.kind in the config")
    add_picture_flags(parser)


def add_picture_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that decodes files below a folder: ``--root``, ``--max-pixels``."""
    parser.add_argument("--root", type=Path, required=True, help="folder that the paths of all tables are below")
    parser.add_argument("--max-pixels", type=int, required=True, help="pixels of the largest picture to decode whole")


def list_images(kind: str, path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """What the source of `kind` at `path` holds; UnchokeError where it is not there or empty.

    group: see ``dataset.split.group`` in config/README.md. fields: where arrays are, as
    ``locations.fields_of`` gives it.
    """
    listing: Listing = _source(kind).list_images(path, group, fields)
    if not listing.images:
        raise UnchokeError(
            "There are no images.",
            found=", ".join(f"{count} × {ending}" for ending, count in listing.left_out.most_common(5)) or "nothing",
            expected="images by class in folders, a CSV or arrays with a row an image, or tar shards",
            where=str(path),
            do="check dataset.path in the config",
        )
    return listing


def listing_digest(
    kind: str, path: Path, group: str | None = None, fields: Fields = NO_FIELDS, record: Path | None = None
) -> str:
    """Digest that changes when an image or a mask is added, removed or replaced, or an image relabelled.

    record: of the manifest, if there is one: it says which files HDF5 files refer to, which else must be opened.
    """
    module = _source(kind)
    if hasattr(module, "recipe_digest"):
        return str(module.recipe_digest())
    if hasattr(module, "digest_of_containers"):
        return str(module.digest_of_containers(path, fields, _containers(record)))
    if hasattr(module, "listing_digest"):
        return str(module.listing_digest(path, group, fields))
    entries: list[tuple[object, ...]] = list(list_images(kind, path, group, fields).images)
    if hasattr(module, "list_masks"):
        entries += [(name, *mask) for name, mask in module.list_masks(path, group).items()]
    return entries_digest(entries)


def _containers(record: Path | None) -> Mapping[str, Mapping[str, list[int]]]:
    """The containers in a manifest's record; empty if the record is missing or broken, which its readers report."""
    try:
        found = json.loads(record.read_bytes()).get("containers", {}) if record else {}
        return {place: {name: list(state) for name, state in files.items()} for place, files in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def entries_digest(entries: list[tuple[object, ...]]) -> str:
    """Digest of the entries of a listing, whatever their order."""
    text = "\n".join(sorted("\0".join(map(str, entry)) for entry in entries))
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))


def open_images(kind: str, root: Path, paths: Sequence[str]) -> list[Reader]:
    """A callable for each image, in order, that reads it; threads may call them.

    paths: of the manifest, below `root`; empty for an image without a file. Neighbouring rows of an array are read in
    one slice, when the first of them is asked for. An image that cannot be read raises errors.UnreadableImageError; a
    machine at fault raises its OSError.
    """
    readers = iter(_open_images(kind, root, [path for path in paths if path]))
    return [next(readers) if path else _no_file for path in paths]


def _open_images(kind: str, root: Path, paths: Sequence[str]) -> list[Reader]:
    from unchoke.images.decode import read_image_file
    from unchoke.machine.suspects import is_careful

    if reads_files(kind):
        return [partial(read_image_file, root / path) for path in paths]
    if kind in ARRAY_KINDS:
        from unchoke.sources.arrays.reading import open_rows

        open_some = partial(open_rows, root, open_array=_source(kind).opener_below(root))
    else:
        open_some = partial(_source(kind).open_images, root)
    if is_careful():  # each row is read alone
        return [reader for path in paths for reader in open_some([path])]
    readers: list[Reader] = open_some(paths)
    return readers


def read_images(kind: str, root: Path, paths: Sequence[str]) -> Iterator[Content]:
    """What ``open_images`` would read, but rows of an array that follow each other as one array, uint8 (n, H, W, 3).

    An UnreadableImageError stands in the place of each image that cannot be read.
    """
    from unchoke.machine.suspects import in_flight, is_careful

    if kind in ARRAY_KINDS and all(paths) and not is_careful():
        from unchoke.sources.arrays.reading import read_slices

        with in_flight(paths[0]):
            yield from read_slices(root, paths, _source(kind).opener_below(root))
        return
    for path, reader in zip(paths, open_images(kind, root, paths), strict=True):
        try:
            with in_flight(path):
                found = reader()
        except UnreadableImageError as error:
            yield error
        else:
            yield found


def _no_file() -> bytes:
    raise UnreadableImageError("no such file or directory")


def reads_files(kind: str) -> bool:
    """Whether every image is a file of its own."""
    return kind not in ARRAY_KINDS and not hasattr(_source(kind), "open_images")


def prerequisites(kind: str, path: Path) -> list[str]:
    """Files that a rule must make before the source can be listed; none for data that the user brings."""
    module = _source(kind)
    return [str(file) for file in module.prerequisites(path)] if hasattr(module, "prerequisites") else []


def image_root(kind: str, path: Path) -> Path:
    """The folder that the paths of a manifest are below; path: of the source, which may be a table."""
    is_table = kind == "csv" or (kind in MASK_KINDS and path.is_file())
    return path.parent if is_table else path


def _source(kind: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"unchoke.sources.kinds.{kind}")


def refuse_duplicates(paths: Sequence[str], rows: Sequence[int], where: Path) -> None:
    """UnchokeError where two rows name one file; rows: their numbers."""
    seen: dict[str, int] = {}
    for line, path in zip(rows, paths, strict=True):
        if (other := seen.setdefault(posixpath.normpath(path), line)) != line:
            raise UnchokeError(
                "A path stands in the table twice.",
                found=f"{path!r} in rows {other} and {line}",
                expected="one row an image",
                where=str(where),
                do="delete one of the two rows",
            )


def split_name(text: str, where: str) -> str:
    """train, val, test or empty for what people write; UnchokeError names the nearest."""
    if not clean_text(text):
        return ""
    try:
        return known_split(text)
    except ValueError as error:
        raise UnchokeError(
            "A split is not known.",
            found=repr(text),
            expected="train, val, test, or nothing where it is to be drawn",
            where=where,
            do=str(error).partition(": ")[2],
        ) from None


def size_and_time(file: Path | os.DirEntry[str]) -> tuple[int, int]:
    """Size in bytes and modification time in ns; -1 and 0 for a missing file, also behind a broken link."""
    try:
        stat = file.stat()
    except (OSError, ValueError):  # ValueError: the name holds a NUL
        return -1, 0
    return stat.st_size, stat.st_mtime_ns


def path_on_disk(root: Path, path: str) -> str:
    """The path of a table, below `root`, as the file itself is named; as the table has it where there is no file.

    Tables and disks differ in blanks at the ends and in Unicode's forms, which nobody sees.
    """
    names = (name for name in (path, *spellings(path)) if "\0" not in name and os.path.lexists(root / name))
    return next(names, path.replace("\0", ""))
