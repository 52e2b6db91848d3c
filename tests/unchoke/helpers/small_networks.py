"""Small networks and images to train them on, which tests and a script that is killed share."""

from typing import Any

import numpy as np
import torch
from timm.layers import DropPath
from torch import nn

from unchoke.networks.images import HeldImages
from unchoke.networks.network import Network
from unchoke.networks.task import NetworkTask

CPU = torch.device("cpu")
CLASSES = 3
CHANNELS, SIDE = 4, 6
SETTINGS: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rates": [0.01],
    "weight_decays": [0.1],
    "seeds": [0],
    "epochs": 3,
    "batch_size": 8,
    "schedule": "cosine",
    "momentum": 0.9,
    "label_smoothing": 0.0,
    "class_weights": "none",
    "keep": "last",
    "augment": [],
    "shift_px": 2,
    "warm_up": 0.1,
    "layer_decay": 1.0,
    "clip_norm": None,
    "mixup": 0.0,
    "drop_path": 0.0,
    "dropout": 0.0,
    "ema": None,
    "precision": "float32",
    "checkpointing": False,
    "compile": False,
    "deterministic": False,
    "choose_by": "accuracy",
    "minutes": None,
    "blocks": 2,
    "cache": "activations",
    "cards": 1,
}
EVERYTHING = {"mixup": 0.4, "dropout": 0.2, "ema": 0.9, "clip_norm": 1.0, "label_smoothing": 0.1, "keep": "best"}


class Residual(nn.Module):
    """A block with batch norm and drop-path."""

    def __init__(self, drop_path: float) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.drop_path(self.norm(self.conv(x)).relu())


class Pooled(nn.Sequential):
    """Two blocks, the mean over the places, a classifier."""

    def __init__(self, drop_path: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Residual(drop_path), Residual(drop_path))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(CHANNELS, CLASSES)


def build(seed: int, drop_path: float = 0.0, **given: Any) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = Pooled(drop_path)
    return Network(model, model, classifier=model.fc, blocks=list(model.blocks), **given)


def images(count: int, seed: int, views: int = 1, *, pixels: bool = False) -> HeldImages:
    """Images whose channels tell their class, with ids that are no places."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    means = np.eye(CLASSES, 3 if pixels else CHANNELS)[labels][None, :, :, None, None]
    x = means + rng.normal(size=(views, count, 3 if pixels else CHANNELS, SIDE, SIDE))
    ids = rng.permutation(10 * count)[:count]
    values = np.clip(128 + 40 * x, 0, 255).astype(np.uint8) if pixels else x.astype(np.float16)
    return HeldImages(ids, labels, values)


def task_of(drop_path: float = 0.0, *, frozen_norm: bool = True, views: int = 1, **settings: Any) -> NetworkTask:
    return NetworkTask(
        lambda seed: build(seed, drop_path, frozen_norm=frozen_norm),
        images(30, 1, views),
        images(14, 2),
        SETTINGS | settings,
        CLASSES,
        CPU,
        data_sha256="data",
        chunk_size=4,
    )
