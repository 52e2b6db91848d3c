"""Sources of images, one module a kind, each with ``list_images(path, group) -> Listing``.

Only names, sizes and times are read. Neither torch nor pandas is imported: the Snakefile takes the
digest of the listing each time it is read.
"""

import importlib
import os
import posixpath
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes
from unchoke.names import SPLITS, suggestion

SPLIT_NAMES = {name: name for name in SPLITS} | {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}


class ImageFile(NamedTuple):
    """One image as its source gives it; empty text where the source says nothing."""

    path: str
    """Below the source's root, with forward slashes."""
    label: str
    split: str
    group: str
    size_bytes: int
    """-1 where there is no such file."""
    mtime_ns: int
    """Nanoseconds since 1970; 0 where there is no such file."""


@dataclass(frozen=True)
class Listing:
    """All images of a source, and how many files it left out, by the ending of their names."""

    root: Path
    images: list[ImageFile]
    left_out: Counter[str] = field(default_factory=Counter)


def list_images(kind: str, path: Path, group: str | None = None) -> Listing:
    """What the source of `kind` at `path` holds; UnchokeError where it is not there or empty.

    group: see ``dataset.split.group`` in config/README.md.
    """
    listing: Listing = importlib.import_module(f"unchoke.sources.{kind}").list_images(path, group)
    if not listing.images:
        raise UnchokeError(
            "There are no images.",
            found=", ".join(f"{count} × {ending}" for ending, count in listing.left_out.most_common(5)) or "nothing",
            expected="images in one folder a class, or a CSV with a row an image",
            where=str(path),
            do="check dataset.path in the config",
        )
    return listing


def listing_digest(kind: str, path: Path, group: str | None = None) -> str:
    """Digest that changes when an image or a mask is added, removed or replaced, or an image relabelled."""
    module = importlib.import_module(f"unchoke.sources.{kind}")
    if hasattr(module, "recipe_digest"):
        return str(module.recipe_digest())
    entries: list[tuple[object, ...]] = list(list_images(kind, path, group).images)
    if hasattr(module, "list_masks"):
        entries += [(name, *mask) for name, mask in module.list_masks(path, group).items()]
    text = "\n".join(sorted("\0".join(map(str, entry)) for entry in entries))
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))


def prerequisites(kind: str, path: Path) -> list[str]:
    """Files that a rule must make before the source can be listed; none for data that the user brings."""
    module = importlib.import_module(f"unchoke.sources.{kind}")
    return [str(file) for file in module.prerequisites(path)] if hasattr(module, "prerequisites") else []


def refuse_duplicates(paths: list[str], where: Path, first_line: int) -> None:
    """UnchokeError where two rows name one file."""
    seen: dict[str, int] = {}
    for line, path in enumerate(paths, first_line):
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
    name = text.strip().lower()
    if name and name not in SPLIT_NAMES:
        raise UnchokeError(
            "A split is not known.",
            found=repr(text),
            expected="train, val, test, or nothing where it is to be drawn",
            where=where,
            do=suggestion(name, SPLITS),
        )
    return SPLIT_NAMES.get(name, "")


def size_and_time(file: Path | os.DirEntry[str]) -> tuple[int, int]:
    """Size in bytes and time of change in ns; -1 and 0 where there is no such file, as behind a broken link."""
    try:
        stat = file.stat()
    except OSError:
        return -1, 0
    return stat.st_size, stat.st_mtime_ns
