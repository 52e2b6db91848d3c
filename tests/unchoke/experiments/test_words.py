"""The rows of text heads in experiments.db, and heads compared by the H-mean of their test images."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unchoke.experiments.database import SCHEMA
from unchoke.experiments.words import insert_words
from unchoke.metrics.counts import Counts, compare_counts
from unchoke.metrics.units import Bootstrap

BOX = [[1.0, 2.0], [9.0, 2.0], [9.0, 6.0], [1.0, 6.0]]
FIGURE = {"value": 0.5, "low": 0.3, "high": 0.7, "sd": None, "units": 4}


def scores_of() -> dict[str, Any]:
    figures = {"h_mean": FIGURE, "recall.curved": {**FIGURE, "value": None}, "mean_iou": FIGURE}
    word = {"polygon": BOX, "score": 0.9, "found": "hit"}
    reading = {"binarise": 0.3, "box_score": 0.6, "unclip": 1.5, "min_side": 3.0, "max_boxes": 1000, "polygons": False}
    return {
        "protocol": "maximal",
        "reading": reading,
        "figures": {"val": figures, "test": figures},
        "images": {"7": {"detections": [word, {**word, "found": "false alarm"}]}, "8": {"detections": []}},
    }


def test_figures_thresholds_and_words_have_rows() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA.read_text())
        insert_words(connection, 3, scores_of())
        metrics = connection.execute("SELECT split, name, value FROM metrics ORDER BY split, name").fetchall()
        assert metrics == [(s, n, v) for s in ("test", "val") for n, v in (("h_mean", 0.5), ("recall.curved", None))]
        assert connection.execute("SELECT * FROM text_thresholds").fetchall() == [(3, "maximal", 0.3, 0.6, 1.5)]
        words = connection.execute("SELECT image_id, word, score, polygon, found FROM words").fetchall()
    assert [(image, word, found) for image, word, _, _, found in words] == [(7, 0, "hit"), (7, 1, "false alarm")]
    assert json.loads(words[0][3]) == BOX


def test_heads_are_compared_by_the_h_mean_of_all_words_of_the_same_images() -> None:
    rng = np.random.default_rng(0)
    words, groups = rng.integers(3, 9, 40), pd.Series("", range(41))
    hits = [rng.binomial(words, share) for share in (0.6, 0.8)]
    one, best = (Counts(np.arange(40), np.stack([hit, words, words], 1).astype(np.int64)) for hit in hits)
    found = compare_counts(one, best, groups, Bootstrap(300, 0), "h_mean")
    assert found is not None and found.images == 40
    expected = hits[0].sum() / words.sum() - hits[1].sum() / words.sum()
    assert found.difference == pytest.approx(expected)
    assert found.low < expected < found.high < 0 and found.p_value < 0.01
