"""The leaderboard of an experiments.db, best on val first."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unchoke.experiments.board import failed_repeats, floors, leaderboard, readings_of
from unchoke.experiments.readings import Reading, read_readings, readings_text
from unchoke.experiments.splits_text import splits_lines
from unchoke.metrics import classification, h_mean, iou
from unchoke.metrics.classification import LOWER_IS_BETTER, written
from unchoke.metrics.grids import choice_text
from unchoke.metrics.intervals import FEW_UNITS
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION
from unchoke.store.run_record import DETECTION, SEGMENTATION

_FIRST = ("encoder", "head", "pool", "weights", "chosen", "val", "test", "95 % interval")
_FIGURES = {
    REGRESSION: {"sd": "test_sd", "mae": "test_mae", "r2": "test_r2", "spearman": "test_spearman"},
    MULTILABEL: {"sd": "test_sd", "auroc": "test_auroc", "macro f1": "test_macro_f1", "micro f1": "test_micro_f1"},
    CLASSIFICATION: {"sd": "test_sd", "balanced": "test_balanced_accuracy", "auroc": "test_auroc"},
    SEGMENTATION: {
        "images": "test_over_images",
        "sd": "test_over_images_sd",
        "dice": "test_mean_dice",
        "pixels": "test_pixel_accuracy",
        "seams": "disagreement",
        "exact": "exact",
        "seconds": "seconds",
    },
    DETECTION: {
        "precision": "test_precision",
        "recall": "test_recall",
        "iou": "test_mean_iou",
        "exact": "exact",
        "seconds": "seconds",
    },
}
"""Columns of the text and of the view that a task has behind the first ones."""
_AGAINST = "against the best"
_NOTES = {
    REGRESSION: ("val, test: {metric}. sd: over seeds. mae: in units of the target. r2, spearman: - where undefined.",),
    MULTILABEL: (
        "val, test: {metric}. sd: over seeds. Figures are means over the labels that have one. f1: at thresholds that",
        "val chose, one a label.",
    ),
    CLASSIFICATION: ("val, test: {metric}. sd: over seeds or draws.",),
    SEGMENTATION: (
        "val, test: {metric}, of all pixels together ({name}). pool: strides of the maps.",
        "images, sd: its mean over the test images, and its deviation over them. dice, pixels: mean Dice and the share",
        "of pixels that is right, on test. seams: of the pixels that several patches show, the share for which these",
        "named different classes. exact: patches give what the whole image would.",
    ),
    DETECTION: (
        "val, test: {metric}, of all words together. precision, recall: on test, at the thresholds that are best on",
        "val. pool: strides of the maps. iou: mean IoU of the maps of shrunk words, on test. exact: patches give what",
        "the whole image would.",
    ),
}
_COMPARED = (
    "against the best: test less that of the head with the best val, with a 95 % interval from the same images.",
    "told apart: they differ after Holm's correction for the number of heads, p below 0.05; others are not told apart",
    "from the best, whatever their interval.",
)
SPOKEN = classification.SPOKEN | iou.SPOKEN | h_mean.SPOKEN
"""Figures that rank, in words."""
MAJORITY = "(majority)"
MAJORITY_NOTE = f"{MAJORITY}: every image gets the shares of the classes in train; a head must be better."
FLOORS = {
    CLASSIFICATION: (MAJORITY, MAJORITY_NOTE),
    REGRESSION: ("(mean)", "(mean): every image gets the mean of train; a head must be better."),
    MULTILABEL: ("(shares)", "(shares): every image gets the shares of the labels in train; a head must be better."),
}
"""By task the name of a head that ignores its input, and what it does."""
FLOOR = "untrained: the encoder's weights are random, so its figures are a floor, not what it can do."
_MOST_WARNINGS = 20  # heads; the table ``runs`` has all


def leaderboard_text(database: Path) -> str:
    """The leaderboard for a terminal, with the columns of its task, saying so where weights are untrained."""
    rows, floor = list(leaderboard(database)), floors(database)
    if not rows:
        return "No head has been trained: the config names none."
    name, figures, notes = rows[0]["metric"], _FIGURES[rows[0]["task"]], _NOTES[rows[0]["task"]]
    header = [*_FIRST, *figures, _AGAINST]
    table = [header, *(_cells(row, figures) for row in rows)]
    table += [_floor_cells(rows[0]["task"], *floor, len(header))] if floor else []
    widths = [max(len(line[place]) for line in table) for place in range(len(header))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    said = [note.format(metric=SPOKEN[name], name=name) for note in (*notes, *_COMPARED)]
    said += [FLOORS[rows[0]["task"]][1]] if floor else []
    said += [f"{SPOKEN[name]}: the lower, the better."] if name in LOWER_IS_BETTER else []
    said += [*_gains(rows), *_at_threshold(rows), *few_units(rows), *_warnings(rows)]
    readings = list(dict.fromkeys([*readings_of(database), *read_readings(database.parent)]))  # also of a copy
    over = splits_lines(rows, failed_repeats(database))
    return "\n".join([*lines, "", *said, *over, *remarks(rows, readings)])


def _gains(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What each network gains over the head that its classifier began with."""
    for row in rows:
        if row["gain"] is not None:
            ends = f" ({row['gain_low']:+.4f} to {row['gain_high']:+.4f})"
            gain = f"{row['gain']:+.4f}" + ("" if row["gain_low"] is None else ends)
            yield f"gain of {row['encoder']} {row['head']} over {row['start']}, with which it began: {gain}"


def _at_threshold(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Sensitivity and specificity of the best head of two classes, at the specificity that was asked."""
    for row in rows:
        if row["is_best"] and row["positive"] is not None:
            asked, images = row["asked_specificity"], row["val_negatives"]
            yield f"best on val, at the threshold that gives specificity {asked:g} on val ({images} negative images):"
            yield f"  sensitivity to {row['positive']} {_point(row, 'test_sensitivity')} on test,"
            yield f"  specificity {_point(row, 'test_specificity')} on test"
            yield from [f"  (not known: {row['unknown']})"] if row["unknown"] else []


def _point(row: dict[str, Any], name: str) -> str:
    return f"{_figure(row[name])} ({_figure(row[f'{name}_low'])} to {_figure(row[f'{name}_high'])})"


def remarks(rows: list[dict[str, Any]], readings: list[Reading]) -> list[str]:
    """Notes on the choice on val, on readings of test, and on untrained weights."""
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


def few_units(rows: list[dict[str, Any]]) -> list[str]:
    """A line that warns where intervals are from few images or groups."""
    least = min((row["test_units"] for row in rows if row["test_units"] is not None), default=FEW_UNITS)
    if least >= FEW_UNITS:
        return []
    return [f"warning: test has {least} independent images, or groups; intervals of fewer than {FEW_UNITS} say little."]


def _cells(row: dict[str, Any], figures: dict[str, str]) -> list[str]:
    return [
        *(row[name] for name in ("encoder", "head", "pool", "weights")),
        choice_text(json.loads(row["chosen"]), json.loads(row["edges"])),
        _figure(row["val"]),
        _figure(row["test"]),
        _interval(row),
        *(_WRITTEN.get(name, _figure)(row[name]) for name in figures.values()),
        _against(row),
    ]


def _floor_cells(task: str, largest: str, val: float | None, test: float | None, columns: int) -> list[str]:
    return ["-", FLOORS[task][0], "-", "-", f"always {largest}", _figure(val), _figure(test), *["-"] * (columns - 7)]


def _interval(row: dict[str, Any]) -> str:
    return f"{_figure(row['test_low'])} to {_figure(row['test_high'])}"


def _against(row: dict[str, Any]) -> str:
    if row["is_best"] or row["is_best"] is None:
        return "is the best on val" if row["is_best"] else "no scores"
    if row["difference"] is None:
        return "no image in common"
    if row["difference_low"] is None:
        return f"{written(row['difference'], signed=True)} (one group: no interval)"
    mark = ", told apart" if row["told_apart"] else ""
    difference, low, high = (written(row[f"difference{end}"], signed=True) for end in ("", "_low", "_high"))
    return f"{difference} ({low} to {high}){mark}"


def _figure(value: float | None) -> str:
    return "-" if value is None else written(value)


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "exact": lambda exact: "-" if exact is None else "yes" if exact else "no",
    "seconds": "{:.1f}".format,
}
"""Cells that are no figures, by the column of the view."""
