"""An epoch of training a head: by the kind `linear` of the config, on what was read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unchoke.config.heads import Linear
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction
from unchoke.pipelines.training import SETTINGS, train_epoch
from unchoke.pipelines.work import Features, Work

ROWS = 80


def work(labels: list[str], splits: list[str]) -> Work:
    table = pd.DataFrame({"label": labels, "split": splits, "group": ""})
    files = Path("a"), pd.DataFrame(), Path("w"), Path("c"), 32, "avg"
    return Work("folder", *files, "cpu", "float32", Extraction(64, 8), 2, Path("s"), labels=table)


def features(labels: list[str], valid: np.ndarray) -> Features:
    """Two classes far apart; what cannot be read is 0."""
    values = np.array([[9.0, -9.0] if label == "a" else [-9.0, 9.0] for label in labels], np.float32)
    return Features(values * valid[:, None] + np.arange(len(labels))[:, None] / 1000, valid)


def test_settings_are_those_of_the_config_for_one_epoch() -> None:
    own = {"learning_rates": [1e-3], "seeds": [0], "epochs": 1, "choose_by": "accuracy"}
    kinds = Linear(kind="linear", **own).model_dump()
    assert {name: kinds[name] for name in SETTINGS} == SETTINGS


def test_one_epoch_tells_classes_apart_and_leaves_out_what_is_unreadable() -> None:
    labels, splits = ["a", "b"] * (ROWS // 2), ["train"] * (ROWS - 20) + ["val"] * 20
    valid = np.ones(ROWS, bool)
    assert train_epoch(work(labels, splits), features(labels, valid)) == 1
    unreadable = valid.copy()
    unreadable[-20:-2] = False
    assert train_epoch(work(labels, splits), features(labels, unreadable)) == 1


def test_one_class_is_too_few() -> None:
    with pytest.raises(UnchokeError, match="two classes"):
        train_epoch(work(["a"] * ROWS, ["train"] * 60 + ["val"] * 20), features(["a"] * ROWS, np.ones(ROWS, bool)))
