"""The tables on disk: manifest, rows of a chunk, quarantine. UTF-8 CSV; file names that are not UTF-8 survive.

A table that was changed after its job had written it is refused; see ``receipts.read_result``.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO

import pandas as pd

from unchoke.errors import UnchokeError
from unchoke.machine.receipts import read_result

MANIFEST_COLUMNS = {
    "image_id": int,
    "path": str,
    "label": str,
    "split": str,
    "group": str,
    "size_bytes": int,
    "mtime_ns": int,
    "excluded": str,  # the reason why no head may use the row; else empty
}
ROW_COLUMNS = {name: MANIFEST_COLUMNS[name] for name in ("image_id", "path", "size_bytes", "mtime_ns")}
MOVE_COLUMNS = {
    **{name: MANIFEST_COLUMNS[name] for name in ("image_id", "path", "mtime_ns")},
    "row_path": str,  # path and time of the same bytes in rows/<chunk>.csv
    "row_mtime_ns": int,
}
PLACE_COLUMNS = {name: MANIFEST_COLUMNS[name] for name in ("image_id", "path")}
SPLIT_COLUMNS = {name: MANIFEST_COLUMNS[name] for name in ("image_id", "split")}
PATCH_COLUMNS = {
    **dict.fromkeys(("patch_id", "image_id", "y0", "x0", "height", "width", "halo"), int),  # px
    "excluded": str,  # as in the manifest
}
PATCH_ROW_COLUMNS = {
    **dict.fromkeys(("patch_id", "image_id", "y0", "x0"), int),
    **{name: MANIFEST_COLUMNS[name] for name in ("path", "size_bytes", "mtime_ns")},
}
QUARANTINE_COLUMNS = {"image_id": int, "path": str, "label": str, "split": str, "reason": str}
FINDING_COLUMNS = {
    **{name: MANIFEST_COLUMNS[name] for name in ("image_id", "path", "label", "split")},
    "rule": str,
    "action": str,
    "cluster": int,  # smallest image_id of its copies; -1 where it has none
    "value": str,  # the measure, or the bits in which two hashes differ; empty where there is none
    "other": int,  # image_id of the copy that stays; -1 where there is none
}
CLEANING_COLUMNS = {"image_id": int, "reasons": str, "dropped": str}  # names of rules; a row for every image
SELECTION_COLUMNS = {
    "image_id": int,  # a row for every image
    "left_out": str,  # why heads leave it out
    "cluster": int,  # smallest image_id of its copies in its split; -1 where it has none
}

STEP_COLUMNS = {  # of the training of a network, a row a step
    "step": int,
    "epoch": int,
    "loss": float,
    "rate": float,  # learning rate
    "seconds": float,
    "images_per_s": float,
    "micro_batch": int,  # images at once
    "peak_mb": float,  # most memory so far: of the card with CUDA's context, or resident; MB of 2**20 bytes
    "retries": int,  # of the card's allocator, so far
}

_DTYPES: dict[type, Any] = {int: "int64", float: "float64", str: object}


def table_bytes(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV text of `rows`: a header, commas, quotes where a field needs them."""
    rows = list(rows)
    text = _csv_text(columns, rows, csv.QUOTE_MINIMAL)
    if "\r" in text:  # Python 3.11 does not quote it, and reads it as the end of a line
        text = _csv_text(columns, rows, csv.QUOTE_NONNUMERIC)
    return text.encode("utf-8", "surrogateescape")


def _csv_text(columns: Iterable[str], rows: Iterable[Sequence[Any]], quoting: Literal[0, 2]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", quoting=quoting)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def frame_bytes(frame: pd.DataFrame, columns: dict[str, type]) -> bytes:
    """CSV text of the `columns` of `frame`."""
    return table_bytes(columns, zip(*(frame[name].tolist() for name in columns), strict=True))


def rows_files(folder: Path, chunk: int, count: int) -> list[Path]:
    """The rows files of a chunk, where each chunk takes `count` of them; the last one may take fewer."""
    files = (folder / f"{number}.csv" for number in range(chunk * count, (chunk + 1) * count))
    return [file for file in files if file.exists()]


def moved_file(rows_file: Path) -> Path:
    """The table, if there is one, that says where images of a rows file lie now."""
    return rows_file.parent.with_name("moved") / rows_file.name


def read_rows(path: Path, columns: dict[str, type]) -> pd.DataFrame:
    """A rows file with the paths at which its images lie now; empty where an image has no file any more."""
    rows, moved = read_table(path, columns), moved_file(path)
    if moved.exists():
        places = read_table(moved, PLACE_COLUMNS).set_index("image_id")["path"]
        rows["path"] = rows["image_id"].map(places).fillna(rows["path"])
    return rows


def count_rows(path: Path) -> int:
    """Number of rows of a manifest, of images or of patches; UnchokeError for any other file."""
    data = read_result(path)
    of_patches = next(csv.reader(_text(data)), []) == list(PATCH_COLUMNS)
    return len(_parsed(data, path, PATCH_COLUMNS if of_patches else MANIFEST_COLUMNS))


def _text(data: bytes) -> TextIO:
    return io.TextIOWrapper(io.BytesIO(data), newline="", encoding="utf-8", errors="surrogateescape")


def read_table(path: Path, columns: dict[str, type]) -> pd.DataFrame:
    """A table with just these columns, text as str objects; UnchokeError for any other file."""
    try:
        data = read_result(path)
    except OSError as error:
        raise _unreadable(path, columns, str(error)) from error
    return _parsed(data, path, columns)


def _parsed(data: bytes, path: Path, columns: dict[str, type]) -> pd.DataFrame:
    try:
        header, *rows = csv.reader(_text(data), strict=True)
        values = list(zip(*rows, strict=True)) if rows else [()] * len(header)
        if header == list(columns):
            return pd.DataFrame(
                {
                    name: pd.Series(list(map(kind, texts)), dtype=_DTYPES[kind])
                    for (name, kind), texts in zip(columns.items(), values, strict=True)
                }
            )
        found = f"columns {', '.join(header)}"
    except (csv.Error, ValueError) as error:
        found = str(error)
    raise _unreadable(path, columns, found)


def _unreadable(path: Path, columns: dict[str, type], found: str) -> UnchokeError:
    return UnchokeError(
        "A table cannot be read.",
        found=found,
        expected=f"columns {', '.join(columns)}, and a cell for each in every row",
        where=str(path),
        do="delete it and run snakemake again",
    )
