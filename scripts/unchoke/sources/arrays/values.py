"""Labels and groups of the rows of arrays, as text: from arrays, .npy files, or columns of a CSV."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unchoke.cells import cell_of
from unchoke.errors import UnchokeError
from unchoke.names import suggestion
from unchoke.sources.arrays.array import ArrayOpener, listed, open_located
from unchoke.sources.arrays.gaps import check_stored
from unchoke.sources.arrays.npy import open_npy
from unchoke.sources.csv_files import CsvFile, read_csv
from unchoke.sources.locations import Location
from unchoke.texts import clean_label, clean_text, decode_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLES = (".csv", ".npy")
"""Endings of files that are read as such, whatever the kind of the images' files."""


def read_values(root: Path, location: Location, open_array: ArrayOpener, role: str = "labels") -> list[str]:
    """One text a row: numbers without a point, true as 1, NaN as an empty text.

    Files .csv and .npy are read as such, others by `open_array`.

    role: labels and groups are integers or text; numbers also floats; label_sets may be 0 and 1, (rows, K), of which
    label k is called ``k``. UnchokeError where a row has more than one value, or one of another type.
    """
    import numpy as np

    openers: dict[str, ArrayOpener] = dict(zip(TABLES, (_open_column, open_npy), strict=True))
    array = open_located(root, location, openers.get(Path(location.file).suffix.lower(), open_array))
    where = f"{root}, {location}"
    if role == "label_sets" and len(array.shape) == 2:
        check_stored(array, "labels", where, every=True)
        return _label_sets(np.asarray(array[0 : array.shape[0]]), where)
    if not array.shape or math.prod(array.shape[1:]) != 1:
        raise UnchokeError(
            "There is not one label or group a row.",
            found=f"{array.dtype} {tuple(array.shape)}",
            expected="(rows,), or ones behind the rows: (rows, 1, 1, 1)",
            where=where,
            do=_one_a_row(role),
        )
    check_stored(array, "labels or groups", where, every=True)
    value_N = np.asarray(array[0 : array.shape[0]]).reshape(-1)
    if role == "numbers" and value_N.dtype.kind == "f":
        return ["" if value != value else repr(value) for value in value_N.tolist()]
    return as_text(value_N, where)


def _one_a_row(role: str) -> str:
    if role == "numbers":
        return "heads predict one number: name a location a run, and give each run a dataset.name of its own"
    return "store the number of the class, or its name" + ", or 0 and 1, (rows, labels)" * (role == "label_sets")


def _label_sets(has_NK: "NDArray[Any]", where: str) -> list[str]:
    """The cell of each row of 0 and 1; UnchokeError where there is something else."""
    import numpy as np

    known_NK = (has_NK == 0) | (has_NK == 1) if has_NK.dtype.kind in "iubf" else np.zeros(has_NK.shape, bool)
    if not known_NK.all():
        row, label = np.argwhere(~known_NK)[0].tolist()
        raise UnchokeError(
            "An array of labels has values other than 0 and 1.",
            found=f"{has_NK[row, label]!r} in row {row}, label {label}, of type {has_NK.dtype}",
            expected="1 where the image has the label, 0 where it has not",
            where=where,
            do="mend the array, or give the labels as text, separated by ;",
        )
    return [cell_of(map(str, np.flatnonzero(has_K))) for has_K in has_NK]


def as_text(value_N: "NDArray[Any]", where: str) -> list[str]:
    """The values as text, as ``texts.clean_label`` gives it; UnchokeError where one is neither an integer nor text."""
    import numpy as np

    if value_N.dtype.kind in "iub":
        return [str(int(value)) for value in value_N.tolist()]
    if value_N.dtype.kind == "f" and (np.isnan(value_N) | np.isfinite(value_N) & (np.round(value_N) == value_N)).all():
        return ["" if value != value else str(int(value)) for value in value_N.tolist()]  # NaN stands for a missing one
    values = value_N.tolist()
    wrong = next((value for value in values if not isinstance(value, str | bytes)), None)
    if wrong is not None:
        raise UnchokeError(
            "A label or group is neither an integer nor text.",
            found=f"{wrong!r} among values of type {value_N.dtype}",
            expected="integers, or text",
            where=where,
            do="store the number of the class, or its name",
        )
    return [clean_label(decode_text(value) if isinstance(value, bytes) else value) for value in values]


def _open_column(file: Path, column: str) -> "NDArray[Any]":
    """A column of a CSV with a header, as an array of objects."""
    import numpy as np

    table, column = read_csv(file), clean_text(column)
    if not column or column not in table.columns:
        named = [name for name in table.columns if name]
        raise UnchokeError(
            f"The CSV has no column '{column}'." if column else "It is not said which column of the CSV is meant.",
            found=f"columns {listed(named)}",
            expected=f"a column '{column}'" if column else f"a location with a column, '{file.name}:{named[-1]}'",
            where=str(file),
            do=suggestion(column, named),
        )
    return np.array(_cells(table, table.columns.index(column), file), dtype=object)


def _cells(table: CsvFile, place: int, file: Path) -> Sequence[str]:
    """The cells of a column."""
    for number, row in zip(table.numbers, table.rows, strict=True):
        if len(row) <= place:
            raise UnchokeError("A row of the CSV has too few cells.", found=f"row {number}", where=str(file))
    return [row[place] for row in table.rows]
