"""A ridge head on the features of a sample, and its accuracy on val beside that of other features."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.heads.kinds import ridge
from unchoke.heads.rows import Rows
from unchoke.metrics.evaluation import compare
from unchoke.metrics.influences import scored
from unchoke.pipelines.table import ACCURACY
from unchoke.pipelines.work import Features


class Judge(Protocol):
    """What a pipeline's features are worth."""

    @property
    def metric(self) -> str:
        """One of ``table.NAMES``."""

    def answers(self, sample: pd.DataFrame, features: Features) -> Any:
        """Of a head on these features, on the val images of the sample; text says why there are none."""

    def difference(self, one: Any, default: Any, sample: pd.DataFrame) -> "Difference":
        """The figure of the first answers, and its difference from the second's."""


SETTINGS: dict[str, Any] = {
    "penalty": [1e-2, 1e-1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5],
    "standardize": True,
    "class_weights": "none",
    "choose_by": "accuracy",
}
"""Those of the config's kind ``ridge`` by default."""
CPU = torch.device("cpu")


class Difference(NamedTuple):
    """In accuracy on val, image by image, from the default; NaN where it is not known."""

    accuracy: float
    difference: float
    low: float
    high: float


UNKNOWN = Difference(*[float("nan")] * 4)


class Answers(NamedTuple):
    """Of a head, on the val images of the sample that could be read."""

    place_V: NDArray[np.int64]
    label_V: NDArray[np.int64]
    logits_VC: NDArray[np.float32]


def answers_of(sample: pd.DataFrame, features: Features) -> Answers | None:
    """The answers of a ridge head fitted on train; None where there are not two classes in train and an image in val.

    sample: label, split and group of each image; val images of classes that train has not are left out.
    """
    found = rows_of(sample, features)
    if found is None:
        return None
    train, val, n_classes = found
    fitted = ridge.fit(train, val, n_classes, SETTINGS, CPU)
    logits_VC = ridge.predict(fitted.replicates[0], SETTINGS, val.x_ND, CPU).numpy()
    return Answers(val.image_id_N, val.y_N.numpy(), logits_VC)


def rows_of(sample: pd.DataFrame, features: Features) -> tuple[Rows, Rows, int] | None:
    """Rows of train and val, and the number of classes; None as for ``answers_of``."""
    found = usable_images(sample, features.valid_N)
    if found is None:
        return None
    train, val, classes = found
    return _rows(train, features, classes), _rows(val, features, classes), len(classes)


def usable_images(
    sample: pd.DataFrame, valid_N: NDArray[np.bool_]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]] | None:
    """Those of train and of val, and the classes of train in their order; None as for ``answers_of``."""
    usable = sample[valid_N & (sample["label"] != "").to_numpy()]
    classes = sorted(set(usable.loc[usable["split"] == "train", "label"]))
    usable = usable[usable["label"].isin(classes)]
    train, val = (usable[usable["split"] == split] for split in ("train", "val"))
    return None if len(classes) < 2 or val.empty else (train, val, classes)


def _rows(part: pd.DataFrame, features: Features, classes: list[str]) -> Rows:
    place_N = part.index.to_numpy()
    label_N = torch.tensor([classes.index(label) for label in part["label"]])
    return Rows(torch.from_numpy(features.values_ND[place_N]), label_N, place_N, part["group"].to_numpy(object))


def difference(one: Answers | None, default: Answers | None, sample: pd.DataFrame) -> Difference:
    """The first head's accuracy, and its difference from the second's with its interval, on the images of both."""
    if one is None or default is None:
        return UNKNOWN
    place_V, at_one, at_default = np.intersect1d(one.place_V, default.place_V, return_indices=True)
    if not len(place_V):
        return UNKNOWN
    group_V = sample["group"].to_numpy(object)[place_V]
    first, second = (
        scored("accuracy", head.label_V[at], head.logits_VC[None, at], [1.0])
        for head, at in ((one, at_one), (default, at_default))
    )
    found = compare(first, second, group_V)
    return Difference(float(first.value_R[0]), found.difference, found.low, found.high)


class RidgeJudge:
    """The accuracy of a ridge head."""

    metric = ACCURACY

    def answers(self, sample: pd.DataFrame, features: Features) -> Answers | None:
        """As ``answers_of``."""
        return answers_of(sample, features)

    def difference(self, one: Answers | None, default: Answers | None, sample: pd.DataFrame) -> Difference:
        """As the function of this name."""
        return difference(one, default, sample)
