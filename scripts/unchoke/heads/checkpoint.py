"""Stage: heads read from their checkpoints, to be evaluated or used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.heads.rows import split_rows
from unchoke.heads.target import Reading
from unchoke.heads.targets import target_of
from unchoke.heads.train import outputs_of, predict
from unchoke.metrics import calibration
from unchoke.metrics.evaluation import Figure
from unchoke.metrics.label_sets import probabilities
from unchoke.names import MULTILABEL
from unchoke.store.checkpoints import read_checkpoint_file
from unchoke.store.read import FeatureStore

CPU = torch.device("cpu")
DECISIVE = ("model", "weights_sha256", "image_size", "data_config", "jpeg_draft")  # settings that change features


@dataclass(frozen=True)
class Head:
    """A trained head as its checkpoint holds it."""

    path: Path
    settings: dict[str, Any]
    """Its section of the config."""
    classes: list[str]
    """Their names, in the order of the C columns of logits and probabilities; of a number one."""
    encoder: dict[str, Any]
    """Everything but the images that its features depend on."""
    replicates: list[dict[str, torch.Tensor]]
    """One for each seed or few-shot draw."""
    temperatures: list[float]
    """Divisors of each replicate's logits for its probabilities; fitted on val."""

    @property
    def reading(self) -> Reading:
        """What val chose, with the thresholds of labels."""
        thresholds = [part["thresholds"].tolist() for part in self.replicates if "thresholds" in part]
        return Reading(self.temperatures, thresholds)

    def logits(
        self, x_ND: NDArray[np.floating] | torch.Tensor, device: torch.device = CPU, views: int = 1
    ) -> NDArray[np.float32]:
        """Raw logits, float32 (R, N, C), of features of the head's pool: one for each of R replicates.

        A head that predicts numbers gives them as float64 (R, N, 1).

        views: how many lie in x_ND, (V·N, D), all images in a first one, then all in a second; they are averaged.
        """
        features_ND = torch.as_tensor(x_ND).to(device)
        return np.stack([outputs_of(part, self.settings, features_ND, device, views) for part in self.replicates])

    def probabilities(
        self, x_ND: NDArray[np.floating] | torch.Tensor, device: torch.device = CPU, views: int = 1
    ) -> NDArray[np.float64]:
        """Calibrated probabilities of the classes, float64 (N, C): the mean over the replicates.

        Each is softmax(logits / temperature) of its own, or sigmoid(logits) of labels. Arguments as of ``logits``.
        """
        if target_of(self.settings).task == MULTILABEL:
            return np.asarray(probabilities(self.logits(x_ND, device, views)).mean(0))
        return np.asarray(calibration.probabilities(self.logits(x_ND, device, views), self.temperatures).mean(0))


def read_checkpoint(path: Path) -> Head:
    """The head of a checkpoint; UnchokeError where the file is not one of ours."""
    needed = ("settings", "classes", "encoder", "temperatures")
    facts, replicates = read_checkpoint_file(path, "head", versions.HEADS, needed)
    return Head(path=path, replicates=replicates, **facts)


def evaluate_head(
    head: Head,
    features: dict[str, FeatureStore],
    manifest: pd.DataFrame,
    split: str,
    device: torch.device,
) -> dict[str, Figure]:
    """Figures of a saved head on cached features of the encoder that it was trained on.

    Raises UnchokeError where the features are another encoder's, or the classes others than the head's.
    """
    if split == "val" and head.settings.get("refit"):
        raise UnchokeError(
            "The head was fitted anew on train and val: figures on val would be those of training images.",
            where=str(head.path),
            do="evaluate it on test; its figures on val before that fit stand in experiments.db",
        )
    for store in features.values():
        refuse_other_encoder(head, store.seal["settings"], store.path)
    classes, rows = split_rows(features, manifest, head.settings, device)
    if classes != head.classes:
        raise UnchokeError(
            "The manifest has other classes than the head.",
            found=", ".join(sorted(set(classes) ^ set(head.classes))[:5]),
            expected=f"the {len(head.classes)} classes of {head.path}",
            do="train the head anew: snakemake --cores all",
        )
    part = rows[split]
    if split == "train" and head.settings["train_views"] != head.settings["test_views"]:
        features_of = {**head.settings, "train_views": head.settings["test_views"]}
        part = split_rows(features, manifest, features_of, device)[1][split]
    logits_RNC = predict(head.replicates, head.settings, part, device)
    return part.target.evaluate(part.y_N.cpu().numpy(), logits_RNC, part.group_N, head.reading)


def refuse_other_encoder(head: Head, settings: dict[str, Any], where: Path) -> None:
    """UnchokeError where features made with `settings` differ from those of the head's training."""
    for name in DECISIVE:
        value = head.encoder.get(name)
        if settings.get(name) != value:
            raise UnchokeError(
                "The head was trained on features of another encoder.",
                found=f"{name} {settings.get(name)}",
                expected=f"{name} {value}, as in {head.path}",
                where=str(where),
                do="give the features of the head's own encoder, or train the head on these",
            )
