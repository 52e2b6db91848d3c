"""What heads say of images, by what they predict: a class, a number, or any number of labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.cells import cell_of
from unchoke.heads.checkpoint import Head
from unchoke.metrics.label_sets import probabilities
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION
from unchoke.networks.checkpoint import TrainedNetwork


@dataclass(frozen=True)
class Predictions:
    """What a head or a network says of N images; of one that could not be read: None, NaN, and the reason.

    What it predicts is a class; or a number, in ``number_N``; or any number of labels.
    """

    names: list[str]
    """The path of each image, or the type of the given object."""
    classes: list[str]
    """Of labels their names; of a number none."""
    labels: list[str | None]
    """The most probable class of each image; its labels, with ; between them; or the number as text."""
    probability_N: NDArray[np.float64]
    """Of that class; NaN for numbers and labels."""
    probabilities_NC: NDArray[np.float64]
    """Of all classes, calibrated, or of all labels; the mean over the replicates. (N, 0) for numbers."""
    reasons: list[str]
    """Why there is no prediction; empty where there is one."""
    number_N: NDArray[np.float64] | None = None
    """Of a head that predicts numbers: these, the mean over the replicates; None for others."""

    def table(self) -> pd.DataFrame:
        """One row an image: image, label, probability, reason."""
        columns = {"image": self.names, "label": self.labels, "probability": self.probability_N, "reason": self.reasons}
        return pd.DataFrame(columns)


def width_of(head: Head | TrainedNetwork) -> int:
    """Columns of the answers: probabilities of classes; one number; or probabilities of labels, and who gives them."""
    return len(head.classes) * (2 if head.settings.get("task") == MULTILABEL else 1)


def answers_of(head: Head | TrainedNetwork, x: NDArray[Any], device: torch.device, views: int) -> NDArray[np.float64]:
    """Of what is seen of N images, in so many views: (N, columns of ``width_of``)."""
    if isinstance(head, TrainedNetwork) or head.settings.get("task", CLASSIFICATION) == CLASSIFICATION:
        return head.probabilities(x, device, views=views)
    outputs_RNK = head.logits(x, device, views)
    if head.settings["task"] == REGRESSION:
        return np.asarray(outputs_RNK.mean(0), np.float64)
    given_RNK = outputs_RNK >= np.array(head.reading.thresholds)[:, None]
    return np.concatenate([probabilities(outputs_RNK).mean(0), given_RNK.mean(0)], 1)


def predictions_of(
    head: Head | TrainedNetwork, names: list[str], outputs_NK: NDArray[np.float64], reasons: list[str]
) -> Predictions:
    """What the answers of ``answers_of`` say of the images `names`. reasons: why one has none."""
    task = head.settings.get("task", CLASSIFICATION)
    if task == REGRESSION:
        number_N, nothing_N = outputs_NK[:, 0], np.full(len(names), np.nan)
        numbers = [None if reason else f"{number:.10g}" for reason, number in zip(reasons, number_N, strict=True)]
        return Predictions(names, [], numbers, nothing_N, outputs_NK[:, :0], reasons, number_N)
    if task == MULTILABEL:
        return _labelled(names, head.classes, outputs_NK, reasons)
    best_N = outputs_NK.argmax(1)
    labels = [None if reason else head.classes[best] for reason, best in zip(reasons, best_N, strict=True)]
    return Predictions(names, head.classes, labels, outputs_NK.max(1), outputs_NK, reasons)


def _labelled(
    names: list[str], classes: list[str], outputs_N2K: NDArray[np.float64], reasons: list[str]
) -> Predictions:
    """Of the probabilities of K labels, and the shares of the replicates that give each; half of them are enough."""
    probability_NK, given_NK = outputs_N2K[:, : len(classes)], outputs_N2K[:, len(classes) :] >= 0.5
    labels = [
        None if reason else cell_of(np.array(classes, object)[given_K])
        for reason, given_K in zip(reasons, given_NK, strict=True)
    ]
    return Predictions(names, classes, labels, np.full(len(names), np.nan), probability_NK, reasons)
