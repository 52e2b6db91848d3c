"""Heads over random splits of the same images: what the table of the leaderboard says of them."""

from collections.abc import Sequence
from typing import Any

from unchoke.experiments.splits_text import Failed, failed_note, splits_note
from unchoke.report.leaderboard import interval_text

Table = tuple[str, Sequence[str], Sequence[Sequence[Any]]]
"""Note, columns and cells."""


def add_splits(rows: Sequence[dict[str, Any]], failed: Sequence[Failed], table: Table) -> Table:
    """The table with the figures over splits behind its columns; as it is where there is one split.

    rows: those of the view ``leaderboard``, one for each of the first rows of cells. failed: splits that do not count.
    """
    if not any(row["splits"] for row in rows):
        return table
    note, columns, cells = table
    repeats = rows[0]["splits"]
    own = (f"over {repeats} splits", "its sd", "its 95 % interval", "splits that count")
    against = ("against the best over splits", "its 95 % interval", "p adjusted over splits")
    behind = [_cells(row) for row in rows]
    behind += [(None,) * len(own + against)] * (len(cells) - len(rows))
    said = [note, splits_note(repeats, rows[0]["metric"]), *failed_note(failed)]
    joined = [[*before, *more] for before, more in zip(cells, behind, strict=True)]
    return " ".join(said), [*columns, *own, *against], joined


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    interval, difference = (
        interval_text(row[f"{name}_low"], row[f"{name}_high"]) for name in ("splits", "splits_difference")
    )
    own = (row["splits_mean"], row["splits_sd"], interval, row["splits_counted"])
    against = (row["splits_difference"], difference, row["splits_p_adjusted"])
    return (*own, *(("is the best", None, None) if row["is_best"] else against))
