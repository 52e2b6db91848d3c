"""The tables on disk: manifest, rows of a chunk, quarantine. UTF-8 CSV; file names that are not UTF-8 survive.

A table that was changed after its job had written it is refused; see ``receipts.read_result``.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import chain
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
TEXT_ROW_COLUMNS = {
    **dict.fromkeys(("patch_id", "image_id", "y0", "x0"), int),
    **dict.fromkeys(("height", "width"), int),  # of the image, px
    "words": str,  # JSON: [[[[x, y], …], ignored], …], the outlines that touch the patch; empty: words are not known
}
WORD_COLUMNS = {
    "image_id": int,
    "polygon": str,  # x and y of its corners in turn, px; clockwise, within the image
    "text": str,
    "ignored": int,  # 1 where it counts neither as found nor as missed
    "file": str,  # of annotations, below the source's root
    "place": str,  # in the file
}
WORD_QUARANTINE_COLUMNS = {
    **{name: MANIFEST_COLUMNS[name] for name in ("image_id", "path")},
    **dict.fromkeys(("file", "place", "reason"), str),
    "regions": int,  # ignored regions in words.csv that cover its place
}
QUARANTINE_COLUMNS = {"image_id": int, "path": str, "label": str, "split": str, "reason": str}
FINDING_COLUMNS = {
    **{name: MANIFEST_COLUMNS[name] for name in ("image_id", "path", "label", "split")},
    "rule": str,
    "action": str,
    "cluster": int,  # smallest image_id of its copies; -1 where it has none
    "value": str,  # the measure, the bits in which two hashes differ, a cosine or a margin; empty where there is none
    "other": int,  # image_id of the copy that stays; -1 where there is none
    "suggested": str,  # the label that the features suggest; else empty
    "nearest": str,  # image_id of the nearest images with that label, spaces between; else empty
}
DISTANCE_COLUMNS = {  # a row an image of val and test that takes part, or without a label: split unlabelled
    **{name: MANIFEST_COLUMNS[name] for name in ("image_id", "path", "split")},
    "distance": str,  # one less the cosine of the k-th nearest image of train
    "beyond": str,  # share of the images of train that lie nearer to the others of train
    "nearest": int,  # image_id of the nearest image of train
}
PREDICTION_COLUMNS = {  # a row an image without a label, by a head
    **{name: MANIFEST_COLUMNS[name] for name in ("image_id", "path")},
    "predicted": str,  # the likeliest class; a number; or labels, with ; between them
    "probability": str,  # of the class, calibrated; else empty
    "second": str,  # the next likeliest class; else empty
    "margin": str,  # how much less likely that is; else empty
}
TO_LABEL_COLUMNS = {  # a row an image to label, the first first
    "rank": int,  # from 1
    **{name: MANIFEST_COLUMNS[name] for name in ("image_id", "path")},
    "split": str,  # unlabelled where it has no label
    "label": str,  # the one that it has, empty without
    "value": str,  # a distance, a mean distance to neighbours, or a margin; empty where nothing came before
    "nearest": int,  # image_id of the nearest image of train; -1 where there is none
    "nearest_label": str,  # its label
    **dict.fromkeys(("predicted", "second"), str),  # the two likeliest classes of the head that is asked; else empty
}
CLEANING_COLUMNS = {"image_id": int, "reasons": str, "dropped": str}  # names of rules; a row for every image
SELECTION_COLUMNS = {
    "image_id": int,  # a row for every image
    "left_out": str,  # why heads leave it out
    "cluster": int,  # smallest image_id of its copies in its split; -1 where it has none
}
DECIDED_SELECTION_COLUMNS = {  # where the user decides about single images
    **SELECTION_COLUMNS,
    "label": str,  # the one that heads are taught; the manifest has the given one
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
_LARGE = 2**18  # bytes of a table, from which pandas' parser is the faster one


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


def read_rows(path: Path, columns: dict[str, type], *others: Path) -> pd.DataFrame:
    """A rows file with the paths at which its images lie now; empty where an image has no file any more.

    others: rows files whose rows come behind.
    """
    files = (path, *others)
    parts = [_columns(_bytes(file, columns), file, columns) for file in files]
    rows = _frame({name: [*chain.from_iterable(part[name] for part in parts)] for name in columns}, columns)
    if moved := [moved_file(file) for file in files if moved_file(file).exists()]:
        places = pd.concat([read_table(file, PLACE_COLUMNS) for file in moved]).set_index("image_id")["path"]
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
    return _parsed(_bytes(path, columns), path, columns)


def read_selection(path: Path) -> pd.DataFrame:
    """The selection, with the column `label` where the user decides about single images."""
    data = _bytes(path, SELECTION_COLUMNS)
    is_decided = next(csv.reader(_text(data)), []) == list(DECIDED_SELECTION_COLUMNS)
    return _parsed(data, path, DECIDED_SELECTION_COLUMNS if is_decided else SELECTION_COLUMNS)


def _bytes(path: Path, columns: dict[str, type]) -> bytes:
    try:
        return read_result(path)
    except OSError as error:
        raise _unreadable(path, columns, str(error)) from error


def read_findings(paths: Sequence[Path]) -> pd.DataFrame:
    """Tables of findings as one, sorted by image_id."""
    together = pd.concat([read_table(path, FINDING_COLUMNS) for path in paths])
    return together.sort_values("image_id", kind="stable", ignore_index=True)


def _parsed(data: bytes, path: Path, columns: dict[str, type]) -> pd.DataFrame:
    texts = _plain_texts(data, columns) if len(data) > _LARGE else None
    if texts is None:
        return _frame(_columns(data, path, columns), columns)
    for name, kind in columns.items():
        if kind is not str:
            try:
                texts[name] = pd.Series(list(map(kind, texts[name])), dtype=_DTYPES[kind])
            except ValueError as error:
                raise _unreadable(path, columns, str(error)) from error
    return texts


def _plain_texts(data: bytes, columns: dict[str, type]) -> pd.DataFrame | None:
    """The cells of a plain table by pandas' parser, several times faster; None for a table that it may misread."""
    header, commas = f"{','.join(columns)}\n".encode(), (len(columns) - 1) * data.count(b"\n")
    plain = data.startswith(header) and data.endswith(b"\n") and data.count(b",") == commas
    if not plain or any(byte in data for byte in (b'"', b"\r", b"\0")):
        return None
    try:
        texts = pd.read_csv(
            io.BytesIO(data),
            dtype=object,
            na_filter=False,
            skip_blank_lines=False,
            encoding_errors="surrogateescape",
        )
    except ValueError:
        return None
    return texts if isinstance(texts.index, pd.RangeIndex) else None  # else a row is too long, and another too short


def _columns(data: bytes, path: Path, columns: dict[str, type]) -> dict[str, list[Any]]:
    """The values by column; UnchokeError for a file with other columns."""
    try:
        header, *rows = csv.reader(_text(data), strict=True)
        values = list(zip(*rows, strict=True)) if rows else [()] * len(header)
        if header == list(columns):
            return {name: list(map(kind, texts)) for (name, kind), texts in zip(columns.items(), values, strict=True)}
        found = f"columns {', '.join(header)}"
    except (csv.Error, ValueError) as error:
        found = str(error)
    raise _unreadable(path, columns, found)


def _frame(values: dict[str, list[Any]], columns: dict[str, type]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(values[name], dtype=_DTYPES[kind]) for name, kind in columns.items()})


def _unreadable(path: Path, columns: dict[str, type], found: str) -> UnchokeError:
    return UnchokeError(
        "A table cannot be read.",
        found=found,
        expected=f"columns {', '.join(columns)}, and a cell for each in every row",
        where=str(path),
        do="delete it and run snakemake again",
    )
