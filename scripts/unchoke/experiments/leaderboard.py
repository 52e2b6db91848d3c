"""The leaderboard of an experiments.db, best on val first."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError
from unchoke.experiments.readings import Reading, read_readings, readings_text
from unchoke.machine.receipts import read_result
from unchoke.metrics.classification import LOWER_IS_BETTER, SPOKEN
from unchoke.metrics.grids import choice_text
from unchoke.metrics.intervals import FEW_UNITS
from unchoke.metrics.iou import SPOKEN as SPOKEN_OF_MASKS

HEADER = (
    *("encoder", "head", "pool", "weights", "chosen", "val", "test", "95 % interval", "sd", "balanced", "auroc"),
    "against the best",
)


MASK_HEADER = (
    *("encoder", "head", "maps", "weights", "chosen", "val", "test", "95 % interval", "images", "sd", "dice"),
    *("pixels", "seams", "exact", "seconds", "against the best"),
)
_NOTES = (
    "val, test: {metric}. sd: over seeds or draws. against the best: test {metric} less that of the head with the best",
    "{metric} on val, with a 95 % interval from the same images. told apart: they differ after Holm's correction for",
    "the number of heads, p below 0.05; others are not told apart from the best, whatever their interval.",
)
_MASK_NOTES = (
    "val, test: {metric}, of all pixels together ({name}).",
    "images, sd: its mean over the test images, and its deviation over them. dice, pixels: mean Dice and the share of",
    "pixels that is right, on test. seams: of the pixels that several patches show, the share for which these named",
    "different classes. exact: patches give what the whole image would. against the best: test less that of the head",
    "with the best val, with a 95 % interval from the same images. told apart: they differ after Holm's correction for",
    "the number of heads, p below 0.05; others are not told apart from the best, whatever their interval.",
)
MAJORITY = "(majority)"
FLOOR = "untrained: the encoder's weights are random, so its figures are a floor, not what it can do."
_MOST_WARNINGS = 20  # heads; the table ``runs`` has all


def leaderboard(database: Path) -> Iterator[dict[str, Any]]:
    """The rows of the view ``leaderboard``, of image heads, the best on val first."""
    return _rows(database, "leaderboard")


def mask_leaderboard(database: Path) -> Iterator[dict[str, Any]]:
    """The rows of the view ``mask_leaderboard``, the best on val first; none where heads predict no masks."""
    return _rows(database, "mask_leaderboard")


def of_masks(database: Path) -> bool:
    """Whether a database is that of a dataset of images with masks."""
    with _opened(database) as connection:
        return _has(connection, "mask_leaderboard")


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    if not database.exists():
        raise UnchokeError("There is no database.", where=str(database), do="make it: snakemake --cores all")
    read_result(database)
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        yield connection


def _has(connection: sqlite3.Connection, name: str) -> bool:
    """Whether there is a table or a view of this name."""
    query = "SELECT count(*) FROM sqlite_master WHERE name = ?"
    return bool(connection.execute(query, [name]).fetchone()[0])


def _rows(database: Path, view: str) -> Iterator[dict[str, Any]]:
    with _opened(database) as connection:
        connection.row_factory = sqlite3.Row
        if _has(connection, view):
            yield from map(dict, connection.execute(f"SELECT * FROM {view}"))


def floors(database: Path) -> tuple[str, float | None, float | None] | None:
    """The largest class of train, and what always saying it is worth on val and on test by the metric that ranks.

    None where heads predict masks, or where there are none.
    """
    query = """
        SELECT val.class, val.value, test.value FROM ranking
        JOIN floors AS val ON val.name = ranking.metric AND val.split = 'val'
        JOIN floors AS test ON test.name = ranking.metric AND test.split = 'test'
    """
    with _opened(database) as connection:
        return connection.execute(query).fetchone()  # type: ignore[no-any-return]


def readings_of(database: Path) -> list[Reading]:
    """Who had read test when the database was built."""
    with _opened(database) as connection:
        query = "SELECT read_at, user, host, command FROM test_readings ORDER BY reading_id"
        return [Reading(*(cell or "" for cell in row)) for row in connection.execute(query)]


def leaderboard_text(database: Path) -> str:
    """The leaderboard of image heads or of mask heads for a terminal, saying so where weights are untrained."""
    rows, mask_rows = list(leaderboard(database)), list(mask_leaderboard(database))
    if not rows and not mask_rows:
        return "No head has been trained: the config names none."
    cells, header, notes = (_cells, HEADER, _NOTES) if rows else (_mask_cells, MASK_HEADER, _MASK_NOTES)
    rows = rows or mask_rows
    name, floor_row = rows[0]["metric"], floors(database)
    table = [header, *(cells(row) for row in rows), *([_floor_cells(*floor_row)] if floor_row else [])]
    widths = [max(len(line[place]) for line in table) for place in range(len(header))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    said = [note.format(metric=(SPOKEN | SPOKEN_OF_MASKS)[name], name=name) for note in notes]
    said += [f"{MAJORITY}: always the largest class of train; a head must be better."] if floor_row else []
    said += [f"{SPOKEN[name]}: the lower, the better."] if name in LOWER_IS_BETTER else []
    said += [*_at_threshold(rows), *_few_units(rows), *_warnings(rows)]
    readings = list(dict.fromkeys([*readings_of(database), *read_readings(database.parent)]))  # also of a copy
    return "\n".join([*lines, "", *said, *remarks(rows, readings)])


def _at_threshold(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What the best head of two classes is worth at the specificity that was asked."""
    for row in rows:
        if row["is_best"] and row.get("positive") is not None:
            asked, images = row["asked_specificity"], row["val_negatives"]
            yield f"best on val, at the threshold that gives specificity {asked:g} on val ({images} negative images):"
            yield f"  sensitivity to {row['positive']} {_point(row, 'test_sensitivity')} on test,"
            yield f"  specificity {_point(row, 'test_specificity')} on test"
            yield from [f"  (not known: {row['unknown']})"] if row["unknown"] else []


def _point(row: dict[str, Any], name: str) -> str:
    return f"{_figure(row[name])} ({_figure(row[f'{name}_low'])} to {_figure(row[f'{name}_high'])})"


def remarks(rows: list[dict[str, Any]], readings: list[Reading]) -> list[str]:
    """What a reader of these rows must know beside the figures: of the choice on val, readings of test, and weights."""
    trials = sum(row["trials"] for row in rows)
    said = []
    if max(len(rows), trials) > 1:
        said.append(
            f"The best val is too good, since it was selected: the best of {trials} trials of {len(rows)} heads."
        )
    if readings:
        said.append(f"Note: {readings_text(readings)}. Choices made after it make test too good.")
    return [*said, *([FLOOR] if any(row["weights"] == "untrained" for row in rows) else [])]


def _warnings(rows: list[dict[str, Any]]) -> list[str]:
    """The first warning of each training that had some."""
    each = [(f"{row['encoder']} {row['head']}", json.loads(row["warnings"])) for row in rows]
    lines = [
        f"warning: {name}: {first}" + (f" (and {len(more)} more)" if more else "")
        for name, (first, *more) in ((name, texts) for name, texts in each if texts)
    ]
    hidden = len(lines) - _MOST_WARNINGS
    return lines if hidden <= 0 else [*lines[:_MOST_WARNINGS], f"warning: {hidden} more heads have warnings"]


def _few_units(rows: list[dict[str, Any]]) -> list[str]:
    """A line that warns where intervals are from few images or groups."""
    least = min((row["test_units"] for row in rows if row["test_units"] is not None), default=FEW_UNITS)
    if least >= FEW_UNITS:
        return []
    return [f"warning: test has {least} independent images, or groups; intervals of fewer than {FEW_UNITS} say little."]


def _cells(row: dict[str, Any]) -> list[str]:
    figures = (row[name] for name in ("val", "test"))
    rest = (row[name] for name in ("test_sd", "test_balanced_accuracy", "test_auroc"))
    return [
        *(row[name] for name in ("encoder", "head", "pool", "weights")),
        choice_text(json.loads(row["chosen"]), json.loads(row["edges"])),
        *map(_figure, figures),
        _interval(row),
        *map(_figure, rest),
        _against(row),
    ]


def _floor_cells(largest: str, val: float | None, test: float | None) -> list[str]:
    return ["-", MAJORITY, "-", "-", f"always {largest}", _figure(val), _figure(test), *["-"] * (len(HEADER) - 7)]


def _mask_cells(row: dict[str, Any]) -> list[str]:
    figures = (row[name] for name in ("val_mean_iou", "test_mean_iou"))
    names = ("test_image_mean_iou", "test_image_sd", "test_mean_dice", "test_pixel_accuracy", "disagreement")
    rest = (row[name] for name in names)
    return [
        *(row[name] for name in ("encoder", "head", "maps", "weights")),
        choice_text(json.loads(row["chosen"]), json.loads(row["edges"])),
        *map(_figure, figures),
        _interval(row),
        *map(_figure, rest),
        "-" if row["exact"] is None else "yes" if row["exact"] else "no",
        f"{row['seconds']:.1f}",
        "no scores" if row["is_best"] is None else _against(row),
    ]


def _interval(row: dict[str, Any]) -> str:
    return f"{_figure(row['test_low'])} to {_figure(row['test_high'])}"


def _against(row: dict[str, Any]) -> str:
    return "is the best on val" if row["is_best"] else _difference(row)


def _difference(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return "no image in common"
    if row["difference_low"] is None:
        return f"{row['difference']:+.4f} (one group: no interval)"
    mark = ", told apart" if row["told_apart"] else ""
    return f"{row['difference']:+.4f} ({row['difference_low']:+.4f} to {row['difference_high']:+.4f}){mark}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
