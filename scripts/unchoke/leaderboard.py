"""The leaderboard of an experiments.db, best on val first."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError

HEADER = (
    *("encoder", "head", "pool", "weights", "chosen", "val", "test", "95 % interval", "sd", "balanced", "auroc"),
    "against the best",
)


def leaderboard(database: Path) -> Iterator[dict[str, Any]]:
    """The rows of the view ``leaderboard``, the best on val first."""
    if not database.exists():
        raise UnchokeError("There is no database.", where=str(database), do="make it: snakemake --cores all")
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM leaderboard"):
            yield dict(row)


def leaderboard_text(database: Path) -> str:
    """The leaderboard for a terminal, saying so where weights are untrained."""
    rows = list(leaderboard(database))
    if not rows:
        return "No head has been trained: the config names none."
    table = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(HEADER))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += [
        "",
        "val, test: accuracy. sd: over seeds or draws. against the best: test accuracy less that of the head with the",
        "best accuracy on val, with a 95 % interval from the same images; where it holds 0, they cannot be told apart.",
    ]
    if any(row["weights"] == "untrained" for row in rows):
        lines += ["untrained: the encoder's weights are random, so its figures are a floor, not what it can do."]
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> list[str]:
    chosen = ", ".join(f"{name} {_number(value)}" for name, value in json.loads(row["chosen"]).items())
    interval = f"{_figure(row['test_low'])} to {_figure(row['test_high'])}"
    against = "is the best on val" if row["is_best"] else _difference(row)
    figures = (row[name] for name in ("val_accuracy", "test_accuracy"))
    rest = (row[name] for name in ("test_sd", "test_balanced_accuracy", "test_auroc"))
    return [
        *(row[name] for name in ("encoder", "head", "pool", "weights")),
        chosen,
        *map(_figure, figures),
        interval,
        *map(_figure, rest),
        against,
    ]


def _difference(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return "no image in common"
    if row["difference_low"] is None:
        return f"{row['difference']:+.4f} (one group: no interval)"
    return f"{row['difference']:+.4f} ({row['difference_low']:+.4f} to {row['difference_high']:+.4f})"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
