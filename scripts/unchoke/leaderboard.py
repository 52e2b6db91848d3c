"""The leaderboard of an experiments.db, best head first."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError

PRINTED = ("encoder", "head", "pool", "weights", "chosen", "val_accuracy", "test_accuracy", "test_balanced_accuracy")


def leaderboard(database: Path) -> Iterator[dict[str, Any]]:
    """The rows of the view ``leaderboard``, best first."""
    if not database.exists():
        raise UnchokeError("There is no database.", where=str(database), do="make it: snakemake --cores all")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute("SELECT * FROM leaderboard"):
            yield dict(row)


def leaderboard_text(database: Path) -> str:
    """The leaderboard for a terminal, saying so where weights are untrained."""
    rows = list(leaderboard(database))
    if not rows:
        return "No head has been trained: the config names none."
    table = [PRINTED, *([_cell(row[column]) for column in PRINTED] for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(PRINTED))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    if any(row["weights"] == "untrained" for row in rows):
        lines += ["", "untrained: the encoder's weights are random, so its figures are a floor, not what it can do."]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    text = str(value)
    if text.startswith("{"):
        return ", ".join(f"{name} {number:g}" for name, number in json.loads(text).items())
    return text
