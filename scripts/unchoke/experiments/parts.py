"""Stage: the rows of classes, of groups of images, and of operating points of two classes in experiments.db."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.cleaning.clean import of_images
from unchoke.experiments.rows import insert, printable
from unchoke.hashing import canonical_json
from unchoke.metrics.evaluation import Figure, known_or_none, plain_figures
from unchoke.metrics.operating_points import SENSITIVITY, SPECIFICITY, OperatingPoint, margins, operating_point
from unchoke.metrics.parts import ClassFigures, class_figures, group_figures, label_figures
from unchoke.metrics.positive import positive_place
from unchoke.names import MULTILABEL, REGRESSION
from unchoke.store.run_record import RunRecord
from unchoke.store.zarr_bytes import open_group


@dataclass(frozen=True)
class Asked:
    """See ``evaluation`` in config/README.md."""

    specificity: float | None = None
    positive: str | None = None


NOTHING = Asked()


def insert_parts(
    connection: sqlite3.Connection, run_id: int, run: RunRecord, belongings: pd.DataFrame, asked: Asked
) -> None:
    """The rows of a head in ``classes``, ``groups`` and ``operating_points``, with the figures of the last.

    Of several labels those in ``classes`` alone, and of numbers none. Raises UnchokeError where the positive class is
    none of two.
    """
    if run.task == REGRESSION:
        return
    arrays, classes = open_group(run.group), run.facts["classes"]
    label_N, logits_RNC = np.asarray(arrays["test_label"]), np.asarray(arrays["test_logits"])
    group_N, unit_N = of_images(belongings, np.asarray(arrays["test_image_id"]))
    if run.task == MULTILABEL:
        found = label_figures(label_N.astype(bool), read_labels(logits_RNC, run.facts["thresholds"]), unit_N)
        _insert_classes(connection, run_id, classes, found)
        return
    predicted_RN = logits_RNC.argmax(-1)
    _insert_classes(connection, run_id, classes, class_figures(label_N, predicted_RN, len(classes), unit_N))
    _insert_groups(connection, run_id, group_figures(predicted_RN == label_N, group_N))
    positive = positive_place(classes, asked.positive)
    if positive is not None and asked.specificity is not None:
        val_label_N, val_logits_RNC = np.asarray(arrays["val_label"]), np.asarray(arrays["val_logits"])
        val = val_label_N == positive, margins(val_logits_RNC, positive)
        test = label_N == positive, margins(logits_RNC, positive)
        point = operating_point(asked.specificity, val, test, unit_N)
        _insert_point(connection, run_id, point, asked.specificity, classes[positive])


def read_labels(logits_RNK: NDArray[np.floating], threshold_RK: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """Which labels each of R replicates gives, at the thresholds that val chose for it."""
    return np.asarray(logits_RNK >= np.array(threshold_RK, np.float64)[:, None])


def _insert_classes(
    connection: sqlite3.Connection, run_id: int, classes: Sequence[str], found: Sequence[ClassFigures]
) -> None:
    for name, figures in zip(classes, found, strict=True):
        insert(connection, "classes", run_id=run_id, **{"class": name}, **class_columns(figures))


def class_columns(figures: ClassFigures) -> dict[str, Any]:
    """Figures of a class by the columns of the table, None where they cannot be known."""
    columns: dict[str, Any] = {"test_images": figures.images, "precision_replicates": figures.predicting}
    for name in ("precision", "recall", "f1"):
        figure = getattr(figures, name)
        columns[name] = known_or_none(figure.value)
        columns |= {f"{name}_{end}": known_or_none(getattr(figure, end)) for end in ("low", "high", "units")}
    return columns


def _insert_groups(connection: sqlite3.Connection, run_id: int, figures: dict[str, Figure]) -> None:
    rows = [
        (run_id, printable(name), one.units, one.value, known_or_none(one.low), known_or_none(one.high))
        for name, one in figures.items()
    ]
    connection.executemany("INSERT INTO groups VALUES (?, ?, ?, ?, ?, ?)", rows)  # there may be many


def _insert_point(
    connection: sqlite3.Connection, run_id: int, point: OperatingPoint, specificity: float, positive: str
) -> None:
    figures = {SENSITIVITY: point.sensitivity, SPECIFICITY: point.specificity}
    for name, figure in plain_figures(figures).items():
        insert(connection, "metrics", run_id=run_id, split="test", name=name, **figure)
    values = {
        "positive": positive,
        "specificity": specificity,
        "margins": canonical_json([known_or_none(margin) for margin in point.thresholds]),
        "val_negatives": point.negatives,
        "unknown": point.unknown or None,
    }
    insert(connection, "operating_points", run_id=run_id, **values)
