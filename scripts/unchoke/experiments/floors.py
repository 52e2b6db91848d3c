"""Stage: the figures of a head that ignores its input; every other head must be better."""

import sqlite3

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from unchoke.cells import labels_in, number_in
from unchoke.experiments.comparisons import read_answers
from unchoke.experiments.rows import insert
from unchoke.manifest.images import in_use
from unchoke.metrics.evaluation import known_or_none
from unchoke.metrics.influences import FIGURES, scored
from unchoke.metrics.positive import positive_last
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION
from unchoke.store.run_record import RunRecord

SHARES = "shares of train"
"""In the place of the largest class, where images have several labels."""


def insert_floors(
    connection: sqlite3.Connection, run: RunRecord, images: pd.DataFrame, positive: str | None = None
) -> None:
    """Write the table ``floors``: every image gets the shares of the classes in train as its probabilities.

    Of numbers it gets their mean, of labels the share of each.
    run: the best one, for its classes and the labels of its val and test. images: the manifest; images that are left
    out are marked as excluded. positive: of two classes, see ``metrics.positive``.
    """
    used = in_use(images)
    said, output_C = _constant(used.loc[used["split"] == "train", "label"], run)
    for split in ("val", "test"):
        found = read_answers(run, positive, split)
        logits_1NC: NDArray[np.floating] = np.broadcast_to(output_C, (1, *found.logits_RNC.shape[1:]))
        if run.task == CLASSIFICATION:  # whose columns may be turned
            _, logits_1NC = positive_last(found.label_N, logits_1NC, run.facts["classes"], positive)
        reading = np.full(logits_1NC.shape[-1], 0.0) if run.task == MULTILABEL else 1.0
        for name in FIGURES[run.task]:
            value = float(scored(name, found.label_N, logits_1NC, [reading], run.task).value_R[0])
            row = {"split": split, "name": name, "class": said, "value": known_or_none(value)}
            insert(connection, "floors", **row)


def _constant(train: pd.Series, run: RunRecord) -> tuple[str, NDArray[np.float64]]:
    """What a head says that ignores its input, in words and as its outputs (C,). train: the labels in use."""
    classes: list[str] = run.facts["classes"]
    if run.task == REGRESSION:
        mean = float(np.mean([number_in(label) for label in train]))
        return f"{mean:.4g}", np.array([mean])
    if run.task == MULTILABEL:
        share_C = np.mean([np.isin(classes, labels_in(label)) for label in train], 0)
        return SHARES, np.asarray(logit(share_C.clip(1e-12, 1 - 1e-12)))
    count_C = train.value_counts().reindex(classes, fill_value=0).to_numpy(float)
    return classes[int(count_C.argmax())], np.log(np.maximum(count_C, 1e-12) / count_C.sum())
