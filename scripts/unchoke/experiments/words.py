"""Stage: the rows of text heads in experiments.db: figures of words, thresholds, and the words that were found."""

import json
import sqlite3
from typing import Any

from unchoke.experiments.rows import insert
from unchoke.metrics.h_mean import FIGURES, STRATA, figure_name


def insert_words(connection: sqlite3.Connection, run_id: int, scores: dict[str, Any]) -> None:
    """The rows of a head in ``metrics``, ``text_thresholds`` and ``words``, from its scores."""
    for split, figures in scores["figures"].items():
        for name in (figure_name(figure, stratum) for stratum in STRATA for figure in FIGURES):
            if name in figures:
                insert(connection, "metrics", run_id=run_id, split=split, name=name, **figures[name])
    thresholds = {name: scores["reading"][name] for name in ("binarise", "box_score", "unclip")}
    insert(connection, "text_thresholds", run_id=run_id, protocol=scores["protocol"], **thresholds)
    for image_id, image in scores["images"].items():
        for number, word in enumerate(image["detections"]):
            row = {"polygon": json.dumps(word["polygon"]), "score": word["score"], "found": word["found"]}
            insert(connection, "words", run_id=run_id, image_id=int(image_id), word=number, **row)
