"""CSV files that people write: a header, and a row for each of its other lines."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from unchoke.errors import UnchokeError
from unchoke.regular_files import MOST_TABLE_BYTES, read_regular
from unchoke.texts import clean_text, decode_text

_SAVE_AGAIN = "check dataset.path and the locations below it, or save the table again as UTF-8"


class CsvFile(NamedTuple):
    """A table as it is written; empty lines are no rows."""

    columns: list[str]
    """Their names, without blanks and marks that nobody sees."""
    rows: list[list[str]]
    """Cells as they are written; a row may have fewer of them than there are columns."""
    numbers: list[int]
    """Of each row, counted as a spreadsheet does: the header is row 1."""


def read_csv(path: Path, do: str = _SAVE_AGAIN) -> CsvFile:
    """The CSV at `path`: UTF-8, or UTF-16 with its mark of byte order.

    do: what to do where it cannot be read.

    UnchokeError where it cannot be read, where a column stands twice, and where a row has more cells than the header.
    """
    try:
        text = io.StringIO(decode_text(read_regular(path, MOST_TABLE_BYTES)), newline="")
        rows = [(number, row) for number, row in enumerate(csv.reader(text, strict=True), 1) if row]
    except OSError as error:
        raise _no_csv(error.strerror or str(error), path, do) from None
    except (ValueError, csv.Error) as error:
        raise _no_csv(" ".join(str(error).split()), path, do) from None
    if not rows:
        raise _no_csv("no line", path, do)
    (first, header), *rest = rows
    columns = [clean_text(name) for name in header]
    _refuse_twins(header, columns, f"{path}, line {first}")
    _refuse_wide_rows(rest, len(columns), path)
    return CsvFile(columns, [row for _, row in rest], [number for number, _ in rest])


def _no_csv(found: str, path: Path, do: str) -> UnchokeError:
    return UnchokeError(
        "The CSV cannot be read.",
        found=found,
        expected="a line with the names of the columns, and a line a row",
        where=str(path.absolute()),
        do=do,
    )


def _refuse_twins(header: list[str], columns: list[str], where: str) -> None:
    """UnchokeError where two columns have one name; those without a name, which nobody asks for, may be many."""
    twins = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
    if twins:
        written = [name for name, clean in zip(header, columns, strict=True) if clean == twins[0]]
        places = [str(place) for place, clean in enumerate(columns, 1) if clean == twins[0]]
        raise UnchokeError(
            f"The CSV has the column '{twins[0]}' twice.",
            found=f"{' and '.join(map(repr, written))} in columns {' and '.join(places)}",
            expected="a name of its own for every column",
            where=where,
            do="rename or delete one of them",
        )


def _refuse_wide_rows(rows: list[tuple[int, list[str]]], width: int, path: Path) -> None:
    """UnchokeError where a row has cells for which there is no column."""
    if wide := next(((number, row) for number, row in rows if len(row) > width), None):
        raise UnchokeError(
            "A row has more cells than there are columns.",
            found=f"row {wide[0]}: {', '.join(wide[1])}",
            expected=f"{width} cells",
            where=str(path),
            do='put a path or label that has a comma in quotes: "red, green.png",cat',
        )
