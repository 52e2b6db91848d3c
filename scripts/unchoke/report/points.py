"""Columns of the leaderboard's table for two classes at a threshold."""

from collections.abc import Sequence
from typing import Any

from unchoke.report.leaderboard import interval_text
from unchoke.report.style import plain

COLUMNS = ("sensitivity", "its 95 % interval", "specificity", "its 95 % interval", "negatives of val", "not known")


def add_points(
    rows: list[dict[str, Any]],
    note: str,
    columns: Sequence[str],
    cells: Sequence[Sequence[Any]],
    last: Sequence[Sequence[Any]] = (),
) -> tuple[str, Sequence[str], Sequence[Sequence[Any]]]:
    """Note, columns and cells of a table, with COLUMNS added if there are two classes and a specificity is set.

    rows: those of the view ``leaderboard``, one for each row of cells. last: rows of the table that belong to no head.
    """
    asked = {(row["positive"], row["asked_specificity"]) for row in rows if row["positive"] is not None}
    if not asked:
        return note, columns, [*cells, *last]
    said = [
        f"sensitivity: the share of {plain(positive)} that is found on test at the threshold that gives specificity "
        f"{specificity:g} on val; specificity: what it gives on test. "
        "negatives of val: the images that set the threshold; few set it by chance."
        for positive, specificity in sorted(asked)
    ]
    behind = [[*before, *_point_cells(row)] for row, before in zip(rows, cells, strict=True)]
    behind += [[*before, *[None] * len(COLUMNS)] for before in last]
    return " ".join([note, *said]), [*columns, *COLUMNS], behind


def _point_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("test_sensitivity", "test_specificity")
    figures = [(row[name], interval_text(row[f"{name}_low"], row[f"{name}_high"])) for name in names]
    return (*figures[0], *figures[1], row["val_negatives"], row["unknown"])
