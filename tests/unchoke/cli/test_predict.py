"""The table of predictions: one row a picture, the reason where there is none, whatever classes are called."""

import csv
import io

import numpy as np

from unchoke.api.predict import Predictions
from unchoke.cli.predict import table_of

NAMES = ["a.jpg", 'größe, "图"\nb.jpg', "c\udce9.jpg"]


def test_every_picture_has_a_row_and_every_class_a_column() -> None:
    classes = ["path", "problem", "1"]
    probabilities = np.array([[0.1, 0.7, 0.2], [np.nan] * 3, [1 / 3, 1 / 3, 1 / 3]])
    labels, reasons = ["problem", None, "path"], ["", "broken image: cut, short", ""]
    predictions = Predictions(NAMES, classes, labels, probabilities.max(1), probabilities, reasons)
    text = table_of(predictions).decode("utf-8", "surrogateescape")
    first, bad, last = csv.DictReader(io.StringIO(text, newline=""))
    assert [row["path"] for row in (first, bad, last)] == NAMES
    assert (first["prediction"], first["problem"]) == ("problem", "")
    assert [float(first[f"probability of {name}"]) for name in classes] == [0.1, 0.7, 0.2]
    assert (bad["prediction"], bad["problem"], bad["probability of path"]) == ("", "broken image: cut, short", "")
    assert float(last["probability of 1"]) == 1 / 3
