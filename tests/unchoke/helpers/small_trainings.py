"""Small trainings of mask heads: patches in memory that note their reads, settings, and a comparison of results."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.mask_heads.ablation import train_members
from unchoke.mask_heads.batches import Held
from unchoke.mask_heads.head import TrainedMaskHead
from unchoke.mask_heads.task import Task

CPU, SIDE, CLASSES = torch.device("cpu"), 16, 3
PIXELS = ({"pixels": 3}, {"pixels": 1})


@dataclass(frozen=True)
class Drawn(Held):
    """Patches in memory, with the places of every read."""

    reads: list[list[int]] = field(default_factory=list)

    def read(self, place_B: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        self.reads.append(place_B.tolist())
        return super().read(place_B)


def mask_settings(kind: str, **given: Any) -> dict[str, Any]:
    network = {"kind": kind, "width": 8, "augment": False, "precision": "float32"}
    grid = {"learning_rates": [0.01, 0.03], "weight_decays": [0.0], "seeds": [0, 3]}
    steps = {"epochs": 3, "batch_size": 4, "schedule": "cosine", "keep": "last", "choose_by": "mean_iou"}
    loss = {"loss": "cross_entropy", "focal_gamma": 2.0, "dice": "patch", "class_weights": "none"}
    return {**network, **grid, **steps, **loss, **given}


def fit_head(settings: dict[str, Any], states: Path | None, **given: Any) -> TrainedMaskHead:
    facts = {"n_classes": CLASSES, "device": CPU, "data_sha256": "data", "chunk_size": 3, "states": states}
    return train_members(Task(settings=settings, **{**facts, **given}))


def same(one: TrainedMaskHead, other: TrainedMaskHead) -> bool:
    pairs = zip(one.replicates, other.replicates, strict=True)
    curves = all(np.array_equal(one.curves[name], other.curves[name], equal_nan=True) for name in one.curves)
    return one.chosen == other.chosen and curves and all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)
