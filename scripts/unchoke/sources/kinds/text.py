"""Images with words: a folder with images/ and gt/, a JSON file as MMOCR has it, or a CSV with a row a word.

    folder  gt/<name>.txt or gt/gt_<name>.txt for images/<name>.jpg, a line a word; see ``polygons.lines``
    JSON    see ``polygons.mmocr``
    CSV     columns path, polygon (``x1 y1 x2 y2 …``) and, if you have them, text, ignore, split and group

An image without words is legal: an empty text file, an entry without instances, a row with an empty polygon.
"""

import os
import posixpath
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from unchoke.errors import UnchokeError
from unchoke.polygons.lines import is_ignored, parse_lines, parse_polygon
from unchoke.polygons.mmocr import Entry, parse_mmocr
from unchoke.polygons.word import Word
from unchoke.regular_files import MOST_TABLE_BYTES, read_regular
from unchoke.sources import pairs
from unchoke.sources.kinds import csv, folder
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import (
    ImageFile,
    Listing,
    entries_digest,
    path_on_disk,
    refuse_duplicates,
    size_and_time,
)
from unchoke.sources.split_folders import split_folders
from unchoke.texts import clean_text

IMAGES, TRUTHS = "images", "gt"
ANNOTATED = "text"
"""The label of an image whose words are known, of which there may be none."""
ALONE = "gt file without image"
_PREFIX = "gt_"  # of ICDAR's files
_ENDINGS = (".txt",)
_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")


class Annotations(NamedTuple):
    """The words of one image."""

    file: str
    """Where they stand, below the source's root."""
    words: list[Word]
    height: int = 0
    """Of the image by its annotations, px; 0 where they do not say it."""
    width: int = 0
    fault: str = ""
    """Why the file could not be read; else empty."""


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """Every image, with the label ``text`` where its words are known; gt files without an image are counted among what
    is left out.

    A folder: as ``masks.list_images``, with gt/ in the place of masks/. A JSON: paths are relative to its folder; where
    there is no such file, its first folders are left off until there is one. A CSV: paths are relative to its folder.
    group: as for a folder of images, or for a CSV of them.
    """
    _refuse_nothing(path)
    if path.is_dir():
        return _list_folder(path, group)[0]
    return _list_json(path, group) if _is_json(path) else _list_csv(path, group)


def read_words(path: Path, group: str | None = None) -> dict[str, Annotations]:
    """The words of every image that has the label ``text``, by its path as ``list_images`` gives it."""
    _refuse_nothing(path)
    if path.is_dir():
        return {image: _of_file(path, file.path) for image, file in _list_folder(path, group)[1].items()}
    return _words_of_json(path) if _is_json(path) else _words_of_csv(path, group)


def listing_digest(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> str:
    """Digest that changes with the names, sizes and times of images and of the files with their words."""
    if path.is_dir():
        listing, truths = _list_folder(path, group)
        return entries_digest([*listing.images, *((image, *file) for image, file in truths.items())])
    return entries_digest([*list_images(path, group).images, (path.name, *size_and_time(path))])


def _refuse_nothing(path: Path) -> None:
    if not path.exists():
        raise UnchokeError(
            "The images with words are missing.",
            found="nothing",
            expected=f"a folder with {IMAGES}/ and {TRUTHS}/, a JSON as MMOCR has it, or a CSV with the columns path "
            "and polygon",
            where=str(path.absolute()),
            do="correct dataset.path in the config; it is relative to the folder that snakemake runs in",
        )


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json"


# --- a folder


def _list_folder(path: Path, group: str | None) -> tuple[Listing, dict[str, ImageFile]]:
    """The images, and by their paths the gt files."""
    pairs.check_folders(path, IMAGES, TRUTHS)
    group_of, where = folder.group_pattern(group), str((path / IMAGES).absolute())
    images = folder.list_files(path / IMAGES, lambda counts, _: split_folders(counts, None, where))
    truths = folder.list_files(path / TRUTHS, lambda *_: {}, endings=_ENDINGS)
    truth_of = pairs.pair(images, truths, "gt file", _PREFIX)
    listed, found = [], {}
    for image in images.images:
        name = f"{IMAGES}/{image.path}"
        if truth := truth_of.get(image.path):
            found[name] = truth._replace(path=f"{TRUTHS}/{truth.path}")
        listed.append(image._replace(path=name, label=ANNOTATED if truth else "", group=group_of(name)))
    alone = Counter({ALONE: len(truths.images) - len(truth_of)})
    return Listing(path, sorted(listed), images.left_out + truths.left_out + alone), found


def _of_file(path: Path, name: str) -> Annotations:
    try:
        return Annotations(name, parse_lines(read_regular(path / name)))
    except OSError as error:
        return Annotations(name, [], fault=error.strerror or str(error))
    except ValueError as error:
        return Annotations(name, [], fault=" ".join(str(error).split()))


# --- a JSON


def _entries(path: Path) -> list[tuple[str, Entry]]:
    """The images of the file, by their paths as files on the disk are named."""
    try:
        entries = parse_mmocr(read_regular(path, MOST_TABLE_BYTES))
    except OSError as error:
        raise _no_json(error.strerror or str(error), path) from None
    except (ValueError, RecursionError) as error:
        raise _no_json(" ".join(str(error).split()), path) from None
    paths = [_tail_on_disk(path.parent, entry.path) for entry in entries]
    refuse_duplicates(paths, range(1, len(paths) + 1), path)
    return list(zip(paths, entries, strict=True))


def _no_json(found: str, path: Path) -> UnchokeError:
    return UnchokeError(
        "The JSON with the words cannot be read.",
        found=found,
        expected="MMOCR's format: data_list, a list with img_path and instances in each entry",
        where=str(path.absolute()),
        do="check dataset.path, or export the annotations again",
    )


def _tail_on_disk(root: Path, path: str) -> str:
    """The path, without as many of its first folders as keep it from being a file below `root`."""
    parts = path.replace("\\", "/").split("/")
    names = (path_on_disk(root, posixpath.join(*parts[first:])) for first in range(len(parts)))
    return next((name for name in names if os.path.lexists(root / name)), path_on_disk(root, path))


def _list_json(path: Path, group: str | None) -> Listing:
    group_of = folder.group_pattern(group)
    names = [name for name, _ in _entries(path)]
    files = [ImageFile(name, ANNOTATED, "", group_of(name), *size_and_time(path.parent / name)) for name in names]
    return Listing(path.parent, sorted(files))


def _words_of_json(path: Path) -> dict[str, Annotations]:
    return {name: Annotations(path.name, each.words, each.height, each.width) for name, each in _entries(path)}


# --- a CSV


def _list_csv(path: Path, group: str | None) -> Listing:
    """Rows of one image must agree in split and group."""
    numbers, rows = csv.numbered_rows(path, ["path", "polygon"], group)
    first: dict[str, tuple[int, dict[str, str]]] = {}
    for number, row in zip(numbers, rows, strict=True):
        earlier, other = first.setdefault(row["path"], (number, row))
        for column in ("split", clean_text(group or "group")):
            if row.get(column, "") != other.get(column, ""):
                raise UnchokeError(
                    f"Two rows of one image differ in the column '{column}'.",
                    found=f"{other.get(column, '')!r} in row {earlier}, {row.get(column, '')!r} in row {number}",
                    expected="the same in all rows of an image",
                    where=str(path),
                    do="correct one of the two rows",
                )
    labelled = [{**row, "label": ANNOTATED} for _, row in first.values()]
    return csv.listing_of(path, labelled, group)


def _words_of_csv(path: Path, group: str | None) -> dict[str, Annotations]:
    found: dict[str, Annotations] = {}
    for number, row in zip(*csv.numbered_rows(path, ["path", "polygon"], group), strict=True):
        words = found.setdefault(row["path"], Annotations(path.name, [])).words
        if clean_text(row.get("polygon", "")):
            words.append(_word_of_row(row, f"row {number}"))
    return found


def _word_of_row(row: dict[str, str], place: str) -> Word:
    word, text, ignore = parse_polygon(row["polygon"], place), row.get("text", ""), row.get("ignore", "")
    said = clean_text(ignore).lower()
    fault = "" if said in (*_YES, *_NO) else f"ignore {ignore!r}, where 1 or 0 was expected"
    return word._replace(text=text, ignored=said in _YES or is_ignored(text), fault=word.fault or fault)
