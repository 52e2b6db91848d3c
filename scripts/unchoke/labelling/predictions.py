"""Stage: what a head says of the images that wait for a label."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.files import write_atomic
from unchoke.heads.checkpoint import Head, read_checkpoint, refuse_other_encoder
from unchoke.heads.rows import readable, refuse_missing, refuse_not_finite
from unchoke.labelling.answers import answers_of, predictions_of
from unchoke.names import CLASSIFICATION, NO_LABEL
from unchoke.store import tables
from unchoke.store.read import FeatureStore, open_views

BLOCK = 4096  # images at once

Ints = NDArray[np.int64]


class Likeliest(NamedTuple):
    """The two likeliest classes of N images."""

    place_N2: Ints
    """Their places among the classes, the likeliest first, of equals the first."""
    probability_N2: NDArray[np.float64]
    """Calibrated."""

    @property
    def margin_N(self) -> NDArray[np.float64]:
        """How much likelier the first is than the second, 0 to 1."""
        return np.asarray(self.probability_N2[:, 0] - self.probability_N2[:, 1])


def predict_unlabelled(
    stores: Sequence[Path], manifest: Path, checkpoint: Path, device: torch.device, predictions: Path
) -> pd.DataFrame:
    """Write and return ``tables.PREDICTION_COLUMNS``, a row for each image without a label that could be read.

    stores: sealed features in each view that the head reads.
    """
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    features, head = open_views(stores), read_checkpoint(checkpoint)
    waiting = frame[(frame["excluded"] == NO_LABEL) & readable(features, frame)]
    blocks = answers(head, features, waiting["image_id"].to_numpy(np.int64), device)
    said = pd.concat([pd.DataFrame(columns=list(_SAID), dtype=object), *(_columns(head, block) for block in blocks)])
    table = waiting[["image_id", "path"]].assign(**{name: said[name].tolist() for name in _SAID})
    write_atomic(predictions, tables.frame_bytes(table, tables.PREDICTION_COLUMNS))
    return table


def answers(
    head: Head, features: Mapping[str, FeatureStore], image_id_N: Ints, device: torch.device
) -> Iterator[NDArray[np.float64]]:
    """What a head says of stored images, as of ``labelling.answers.answers_of``, in blocks of ``BLOCK``.

    features: the store of each view. Raises UnchokeError where they are another encoder's, or not finite.
    """
    if device.type == "mps":
        device = torch.device("cpu")  # as heads are trained
    views, pool = head.settings["test_views"], head.settings["pool"]
    refuse_missing(views, features)
    for store in features.values():
        refuse_other_encoder(head, store.seal["settings"], store.path)
    for start in range(0, len(image_id_N), BLOCK):
        id_B = image_id_N[start : start + BLOCK]
        x_ND = np.concatenate([features[view].rows(pool, id_B) for view in views])
        refuse_not_finite(x_ND, id_B, features)
        yield answers_of(head, x_ND, device, len(views))


def likeliest(p_NC: NDArray[np.float64]) -> Likeliest:
    """Of calibrated probabilities."""
    place_N2 = np.argsort(-p_NC, 1, kind="stable")[:, :2]
    return Likeliest(place_N2, np.take_along_axis(p_NC, place_N2, 1))


_SAID = ("predicted", "probability", "second", "margin")


def _columns(head: Head, answer_NK: NDArray[np.float64]) -> pd.DataFrame:
    """The columns of ``_SAID``; of numbers and labels the first alone."""
    none = [""] * len(answer_NK)
    predicted = predictions_of(head, none, answer_NK, none).labels
    if head.settings.get("task", CLASSIFICATION) != CLASSIFICATION:
        return pd.DataFrame(dict(zip(_SAID, (predicted, none, none, none), strict=True)))
    said = likeliest(answer_NK)
    second = np.array(head.classes, object)[said.place_N2[:, 1]].tolist()
    sure, margin = ([f"{value:.6g}" for value in values] for values in (said.probability_N2[:, 0], said.margin_N))
    return pd.DataFrame(dict(zip(_SAID, (predicted, sure, second, margin), strict=True)))
