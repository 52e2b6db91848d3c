"""Stage: a head on another random split of the same images, which may not be fit for it."""

import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from unchoke.errors import SplitError
from unchoke.heads.rows import readable
from unchoke.heads.train import Fitted, TrainedHead, train_head
from unchoke.manifest.images import in_use
from unchoke.metrics.classification import SPOKEN
from unchoke.store.read import FeatureStore


def train_repeat(
    splits: pd.DataFrame,
    features: dict[str, FeatureStore],
    manifest: pd.DataFrame,
    settings: dict[str, Any],
    device: torch.device,
    *,
    states: Path | None = None,
) -> TrainedHead:
    """``train_head`` on other splits; where they do not serve, the head says why in ``failed``, and the run goes on.

    splits: `manifest` with those of a repeat. Their train must have every class that the manifest's has, and so must
    test: figures over other classes are not comparable.
    """
    started = time.perf_counter()
    try:
        read_N = readable(features, manifest)
        _refuse_lost_classes(splits[read_N], manifest[read_N])
        return train_head(features, splits, settings, device, states=states)
    except SplitError as error:
        return TrainedHead(Fitted([], {}, {}), [], {}, {}, {}, [], time.perf_counter() - started, error.reason)


def _refuse_lost_classes(splits: pd.DataFrame, manifest: pd.DataFrame) -> None:
    for split in ("train", "test"):
        wanted, found = (set(rows.loc[rows["split"] == split, "label"]) for rows in (in_use(manifest), in_use(splits)))
        if lost := sorted(wanted - found):
            raise SplitError(f"The {split} split lacks a class.", found=", ".join(map(repr, lost[:5])))


def summary(head: TrainedHead, choose_by: str) -> str:
    """One line for the terminal. choose_by: figure by which the setting was chosen."""
    if head.failed:
        return f"this repeat does not count: {head.failed}"
    return f"chosen {head.fitted.choice}, {SPOKEN[choose_by]} on val {head.figures['val'][choose_by].value:.4f}"
