"""Stage: the figures of a head that ignores its input; every other head must be better."""

import sqlite3

import numpy as np
import pandas as pd

from unchoke.experiments.rows import insert
from unchoke.manifest.images import in_use
from unchoke.metrics.evaluation import known_or_none
from unchoke.metrics.influences import METRICS, scored
from unchoke.metrics.positive import positive_last
from unchoke.store.run_record import RunRecord
from unchoke.store.zarr_bytes import open_group


def insert_floors(
    connection: sqlite3.Connection, run: RunRecord, images: pd.DataFrame, positive: str | None = None
) -> None:
    """Write the table ``floors``: every image gets the shares of the classes in train as its probabilities.

    run: the best one, for its classes and the labels of its val and test. images: the manifest; images that are left
    out are marked as excluded. positive: of two classes, see ``metrics.positive``.
    """
    arrays, classes = open_group(run.group), run.facts["classes"]
    used = in_use(images)
    count_C = used.loc[used["split"] == "train", "label"].value_counts().reindex(classes, fill_value=0).to_numpy(float)
    log_C = np.log(np.maximum(count_C, 1e-12) / count_C.sum())
    for split in ("val", "test"):
        label_N = np.asarray(arrays[f"{split}_label"])
        logits_1NC = np.broadcast_to(log_C, (1, len(label_N), len(classes)))
        label_N, logits_1NC = positive_last(label_N, logits_1NC, classes, positive)
        for name in METRICS:
            value = float(scored(name, label_N, logits_1NC, [1.0]).value_R[0])
            largest = classes[int(count_C.argmax())]
            row = {"split": split, "name": name, "class": largest, "value": known_or_none(value)}
            insert(connection, "floors", **row)
