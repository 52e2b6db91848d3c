"""The objective of each epoch of a training: its patches and its loss, a teacher's first where the settings distil."""

import numpy as np
from torch import nn

from unchoke.errors import UnchokeError
from unchoke.mask_heads.batches import Patches, survey
from unchoke.mask_heads.distil import FEATURES, FeatureDistillation, LogitDistillation, mean_over_patches, target_of
from unchoke.mask_heads.losses import Loss, class_weights, loss_of
from unchoke.mask_heads.task import Task
from unchoke.mask_heads.text_loss import WithThreshold
from unchoke.training.batches import batch_count


class Objectives:
    """The objectives of one task; raises UnchokeError where an epoch needs masks and there are none."""

    def __init__(self, task: Task) -> None:
        self.task, settings = task, task.settings
        self.moments, pixels_K = survey(task.train, task.n_classes, task.chunk_size)
        self.weight_K = class_weights(pixels_K, settings["class_weights"]).to(task.device)
        self.loss_of = loss_of(settings)
        self.teacher_channels = 0
        if task.teacher_patches is not None:
            if settings["distil"]["features"]:
                self.teacher_channels = task.teacher_patches.read(np.zeros(1, np.int64))[0][FEATURES].shape[1]
            self._take_moments(task.teacher_patches)
        if "masks" in map(self.target, range(settings["epochs"])):
            refuse_unlabelled(int(pixels_K.sum()), "train")
        self.batches = [
            batch_count(len(self.patches(epoch)), settings["batch_size"]) for epoch in range(settings["epochs"])
        ]
        """Number of batches in each epoch."""

    def _take_moments(self, patches: Patches) -> None:
        """Mean and deviation of all patches that the head sees, and of the teacher's features."""
        widths = patches.channels | ({FEATURES: self.teacher_channels} if self.teacher_channels else {})
        moments, _ = survey(patches, self.task.n_classes, self.task.chunk_size, widths)
        self.moments = {name: moments[name] for name in patches.channels}
        if self.teacher_channels:
            mean_C, deviation_C = moments[FEATURES]
            self.teacher_moments = mean_C.to(self.task.device), deviation_C.to(self.task.device)

    def target(self, epoch: int) -> str:
        """What an epoch fits: ``features``, ``logits`` or ``masks``."""
        return target_of(self.task.settings, epoch)

    def patches(self, epoch: int) -> Patches:
        """The patches of an epoch."""
        teacher_patches = self.task.teacher_patches
        return self.task.train if teacher_patches is None or self.target(epoch) == "masks" else teacher_patches

    def module(self, model: nn.Module, projection: nn.Module | None, epoch: int) -> tuple[nn.Module, Loss]:
        """The module that an epoch calls with the maps of a batch, and the loss of its result."""
        if projection and self.target(epoch) == "features":
            return FeatureDistillation(model, projection, self.teacher_moments), mean_over_patches
        if self.target(epoch) == "logits":
            temperature = self.task.settings["distil"]["temperature"]
            return LogitDistillation(model, temperature), mean_over_patches
        return (WithThreshold(model) if self.task.settings["loss"] == "db" else model), self.loss_of


def refuse_unlabelled(pixels: int, split: str) -> None:
    """UnchokeError where a split has no pixel with a label."""
    if not pixels:
        raise UnchokeError(
            f"No pixel of the {split} split has a label.",
            found="pixels to be ignored alone",
            do="look at the masks, and at dataset.ignore and the values of the classes in the config",
        )
