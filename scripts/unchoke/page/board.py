"""The leaderboard of the page: few columns that fit on a screen, each cell with what it is sorted by."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from unchoke.experiments.leaderboard import FLOORS
from unchoke.metrics.classification import LOWER_IS_BETTER, written
from unchoke.metrics.grids import choice_text
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION
from unchoke.page.text import NOTHING, duration, figure, together
from unchoke.page.verdict import Floor, Row
from unchoke.report.leaderboard import merit_of
from unchoke.store.run_record import DETECTION, SEGMENTATION

Sorted = str | float | None
"""What a cell is sorted by; None comes last."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    sort: Sorted
    note: str = ""
    """Below the text, smaller."""
    badge: str = ""
    """Beside the text, in a frame."""
    bar: tuple[float, float, float] | None = None
    """Places of an interval's low end, value and high end on the column's axis, per cent."""


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str
    told: str
    """What it holds, in a sentence."""
    cell: Callable[[Row], Cell]
    kind: str = "number"
    """``number``, ``text`` or ``bar``."""
    minor: bool = False
    """Whether narrow screens leave it out."""


@dataclass(frozen=True)
class Board:
    """The table: a row a head, the best on val first."""

    columns: list[Column]
    rows: list[list[Cell]]
    floor: list[Cell]
    """The row of chance; empty where there is none."""


def board_of(rows: list[Row], floor: Floor | None) -> Board:
    """The leaderboard of `rows` of the view, all of one task; see ``verdict.Floor``."""
    columns = list(_columns(rows)) if rows else []
    cells = [[column.cell(row) for column in columns] for row in rows]
    return Board(columns, cells, _floor_cells(columns, rows[0]["task"], floor) if floor and rows else [])


def _columns(rows: list[Row]) -> Iterator[Column]:
    metric = merit_of(rows[0]["task"], rows[0]["metric"])
    better = "the lower, the better" if rows[0]["metric"] in LOWER_IS_BETTER else "the higher, the better"
    yield Column("head", "Its name, its encoder and what it reads of it.", _head, "text")
    yield Column(
        "chosen on val", "The setting that was best on val, of all that were tried.", _chosen, "text", minor=True
    )
    yield Column("val", f"{metric} on val, which chose the setting: too good, since it was selected.", _number("val"))
    yield Column("test", f"{metric} on test; {better}.", _number("test"))
    if any(row["test_low"] is not None for row in rows):
        yield Column("95 % interval", f"Of {metric} on test.", _interval(_axis(rows)), "bar")
    if len(rows) > 1:
        told = f"{metric} on test less that of the best head on val, on the same images, with its 95 % interval"
        yield Column("against the best", f"{told}; told apart: after Holm's correction.", _against)
    if any(row["gain"] is not None for row in rows):
        yield Column("gain over probe", f"{metric} of a network less that of the head it began with, on test.", _gain)
    if any(row["splits"] for row in rows):
        yield Column("over splits", "Mean and deviation over random splits of the images.", _over_splits, minor=True)
    yield from _own_columns(rows)
    yield Column("time", "Seconds from the first feature read to the last interval.", _seconds, minor=True)


_OWN = {
    DETECTION: (
        ("precision", "test_precision", "Share of the detections on test that find a word."),
        ("recall", "test_recall", "Share of the words on test that are found."),
        ("IoU", "test_mean_iou", "Mean IoU of the maps of shrunk words, on test."),
    ),
    REGRESSION: (
        ("MAE", "test_mae", "Mean absolute error on test, in units of the target."),
        ("R²", "test_r2", "1 less the share of the target's variance that is left, on test."),
        ("Spearman", "test_spearman", "Spearman's rank correlation of predicted and true, on test."),
    ),
    MULTILABEL: (
        ("AP", "test_average_precision", "Average precision on test, the mean over labels."),
        ("AUROC", "test_auroc", "Area under the ROC curve on test, the mean over labels."),
        ("macro F1", "test_macro_f1", "F1 on test at the thresholds that val chose, the mean over labels."),
        ("micro F1", "test_micro_f1", "F1 on test at the thresholds that val chose, of all labels together."),
    ),
    CLASSIFICATION: (
        ("balanced", "test_balanced_accuracy", "Balanced accuracy on test: the mean recall of the classes."),
        ("AUROC", "test_auroc", "Area under the ROC curve on test."),
        ("ECE", "test_ece", "Expected calibration error on test, with the temperature fitted on val."),
    ),
    SEGMENTATION: (
        ("over images", "test_over_images", "The mean of the same figure of each test image."),
        ("Dice", "test_mean_dice", "Mean Dice on test."),
        (
            "seams",
            "disagreement",
            "Share of the pixels of several patches for which these named different classes.",
        ),
    ),
}


def _own_columns(rows: list[Row]) -> Iterator[Column]:
    for name, key, told in _OWN[rows[0]["task"]]:
        if key != f"test_{rows[0]['metric']}" and any(row[key] is not None for row in rows):
            yield Column(name, told, _number(key, minor=True), minor=True)


def _head(row: Row) -> Cell:
    weights = {"untrained": "untrained weights", "trained here": "trained here"}.get(row["weights"], "")
    note = " · ".join(filter(None, [row["encoder"], row["pool"], weights]))
    return Cell(row["head"], row["head"].lower(), note, "best on val" if row["is_best"] else "")


def _chosen(row: Row) -> Cell:
    edges = json.loads(row["edges"])
    text = choice_text(json.loads(row["chosen"]), []).replace("_", " ")
    return Cell(text, text, badge="edge of grid" if edges else "")


def _number(name: str, *, minor: bool = False) -> Callable[[Row], Cell]:
    return lambda row: Cell(figure(row[name], 3 if minor else 4), row[name])


def _axis(rows: Sequence[Row]) -> tuple[float, float]:
    """Ends of the axis of the intervals, with a little room."""
    names = ("test_low", "test", "test_high")
    known = [row[name] for row in rows for name in names if row[name] is not None]
    room = 0.04 * (max(known) - min(known)) or 0.01
    return min(known) - room, max(known) + room


def _interval(axis: tuple[float, float]) -> Callable[[Row], Cell]:
    low, high = axis

    def cell(row: Row) -> Cell:
        ends = row["test_low"], row["test"], row["test_high"]
        if None in ends:
            return Cell(NOTHING, row["test"])
        places = [round(100 * (end - low) / (high - low), 2) for end in ends]
        text = f"{written(ends[0], 3)} to {written(ends[2], 3)}"
        return Cell(text, row["test"], bar=(places[0], places[1], places[2]))

    return cell


def _against(row: Row) -> Cell:
    if row["is_best"]:
        return Cell(NOTHING, 0.0, "is the best on val")
    note = _ends(row, "difference") or ("no image in common" if row["difference"] is None else "no interval")
    return Cell(
        figure(row["difference"], signed=True), row["difference"], note, "told apart" if row["told_apart"] else ""
    )


def _gain(row: Row) -> Cell:
    note = " ".join(filter(None, [_ends(row, "gain"), f"over {row['start']}"])) if row["gain"] is not None else ""
    return Cell(figure(row["gain"], signed=True), row["gain"], note)


def _over_splits(row: Row) -> Cell:
    spread = "" if row["splits_sd"] is None else f" ± {row['splits_sd']:.3f}"
    return Cell(figure(row["splits_mean"]) + spread, row["splits_mean"], _ends(row, "splits"))


def _ends(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low is None or high is None else f"{figure(low, 3)} to {figure(high, 3)}"


def _seconds(row: Row) -> Cell:
    return Cell(together(duration(row["seconds"])), row["seconds"])


def _floor_cells(columns: list[Column], task: str, floor: Floor) -> list[Cell]:
    (largest, val, test), name = floor, FLOORS[task][0]
    known = {
        "head": Cell(name, name, largest if task == MULTILABEL else f"always “{largest}”"),
        "val": Cell(figure(val), val),
        "test": Cell(figure(test), test),
    }
    return [known.get(column.name, Cell(NOTHING, None)) for column in columns]
