"""One epoch of training a head on a frozen encoder: on features that are kept, or on files that are decoded anew.

Both train by the code of the head kind `linear`, with the same batches, and score val: they differ in what they read.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unchoke.encoders.encoder import Encoder
from unchoke.errors import UnchokeError
from unchoke.features.chunk import save_chunk
from unchoke.features.images import extract_chunk
from unchoke.heads.kinds import linear
from unchoke.pipelines.accuracy import rows_of
from unchoke.pipelines.entries import Pipeline, Way, files_alone, whole_images
from unchoke.pipelines.ours import Epoch
from unchoke.pipelines.peers import TorchLoader
from unchoke.pipelines.table import TRAINING
from unchoke.pipelines.work import Features, Work
from unchoke.store.chunks import VALID, read_chunk

SETTINGS: dict[str, Any] = {
    "kind": "linear",
    "optimizer": "adamw",
    "learning_rates": [1e-3],
    "weight_decays": [0.0],
    "seeds": [0],
    "epochs": 1,
    "batch_size": 256,
    "schedule": "cosine",
    "momentum": 0.9,
    "label_smoothing": 0.0,
    "class_weights": "none",
    "keep": "last",
    "steps": None,
    "validate_every": None,
    "patience": None,
    "standardize": True,
    "precision": "float32",
    "choose_by": "accuracy",
}
"""Of the config's kind ``linear``, with one learning rate and seed, and one epoch."""


def train_epoch(work: Work, features: Features) -> float:
    """Train a linear head for one epoch; its score on val, by the kind's own code. UnchokeError without two classes,
    as where labels are numbers.
    """
    found = rows_of(work.labels, features)
    if found is None:
        raise UnchokeError("A head needs two classes in train and an image in val.")
    fitted = linear.fit(*found, SETTINGS, torch.device(work.device))
    return float(fitted.curves["val_score"].ravel()[-1])


@dataclass(frozen=True)
class CachedFeatures:
    """The first epoch extracts features and writes their chunks; later ones read these."""

    def prepare(self, work: Work) -> None:
        """Nothing."""

    def files(self, work: Work) -> list[Path]:
        """Those that the first epoch reads."""
        return work.source_files()

    @contextmanager
    def epochs(self, work: Work, encoder: Encoder) -> Iterator[Epoch]:
        """A function that reads the features of a sample, and extracts them first where they are not there."""
        store = work.scratch / "trained.zarr"
        shutil.rmtree(store, ignore_errors=True)

        def epoch() -> Features:
            if not store.exists():
                _extract(store, work, encoder)
            found = [read_chunk(store, chunk) for chunk, _ in work.chunks()]
            values_ND, valid_N = (np.concatenate([each[name] for each in found]) for name in (work.pool, VALID))
            return Features(values_ND[: len(work.rows)].astype(np.float32), valid_N[: len(work.rows)])

        yield epoch


def _extract(store: Path, work: Work, encoder: Encoder) -> None:
    for chunk, rows in work.chunks():
        rows_file = work.scratch / f"trained-{chunk}.csv"
        rows.to_csv(rows_file, index=False)
        given = work.root, encoder, work.settings, work.threads, work.kind
        made = extract_chunk(rows, *given, lanes=work.lanes(encoder))
        save_chunk(store, chunk, rows_file, made, encoder, work.settings)


@dataclass(frozen=True)
class Trained:
    """Another way, with an epoch of training on what it gives."""

    way: Way = field(default_factory=CachedFeatures)

    def prepare(self, work: Work) -> None:
        """As the other way."""
        self.way.prepare(work)

    def files(self, work: Work) -> list[Path]:
        """As the other way."""
        return self.way.files(work)

    @contextmanager
    def epochs(self, work: Work, encoder: Encoder) -> Iterator[Epoch]:
        """A function that does one epoch; it gives the features on which the head was trained."""
        with self.way.epochs(work, encoder) as read:

            def epoch() -> Features:
                features = read()
                train_epoch(work, features)
                return features

            yield epoch


TRAININGS = (
    Pipeline(
        "head on cached features",
        "linear head, batches of 256; the first epoch extracts by {threads} threads, later ones read chunks",
        way=Trained(),
        needs=(whole_images,),
        task=TRAINING,
    ),
    Pipeline(
        "head behind PyTorch DataLoader",
        "the same head, frozen encoder in each epoch; {threads} workers, prefetch_factor {prefetch}, persistent, "
        "pinned for a card, batches of {batch}; Pillow",
        way=Trained(TorchLoader()),
        needs=(whole_images, files_alone),
        task=TRAINING,
    ),
)
"""The first is the one with which the other is compared."""
