"""From which patches, and by which loss, a mask head learns in each epoch."""

from typing import Any

import numpy as np
import torch
from torch import nn

from unchoke.errors import UnchokeError
from unchoke.mask_heads.batches import Patches, batch_count, survey
from unchoke.mask_heads.distil import FEATURES, FeaturesLesson, LogitsLesson, mean_over_patches, phase_of
from unchoke.mask_heads.losses import Loss, class_weights, loss_of
from unchoke.mask_heads.member import Member


class Lessons:
    """The lessons of a training: from a teacher where the settings say so, then from masks."""

    def __init__(
        self,
        train: Patches,
        taught: Patches | None,
        settings: dict[str, Any],
        n_classes: int,
        chunk_size: int,
        device: torch.device,
    ) -> None:
        """train: the patches with masks. taught: those that a teacher has seen, with what it said; None: no teacher.

        Raises UnchokeError where masks shall teach and there are none.
        """
        self.train, self.taught, self.settings = train, taught, settings
        self.moments, pixels_K = survey(train, n_classes, chunk_size)
        self.weight_K = class_weights(pixels_K, settings["class_weights"]).to(device)
        self.loss_of = loss_of(settings)
        self.teacher_channels = 0
        if taught is not None:
            if settings["distil"]["features"]:
                self.teacher_channels = taught.read(np.zeros(1, np.int64))[0][FEATURES].shape[1]
            self._take_moments(taught, n_classes, chunk_size, device)
        if "masks" in map(self.phase, range(settings["epochs"])):
            refuse_unlabelled(int(pixels_K.sum()), "train")
        self.batches = [batch_count(self.patches(epoch), settings["batch_size"]) for epoch in range(settings["epochs"])]

    def _take_moments(self, taught: Patches, n_classes: int, chunk_size: int, device: torch.device) -> None:
        """Of all patches that the head sees, and of the teacher's features."""
        widths = taught.channels | ({FEATURES: self.teacher_channels} if self.teacher_channels else {})
        moments, _ = survey(taught, n_classes, chunk_size, widths)
        self.moments = {name: moments[name] for name in taught.channels}
        if self.teacher_channels:
            mean_C, deviation_C = moments[FEATURES]
            self.teacher_moments = mean_C.to(device), deviation_C.to(device)

    def phase(self, epoch: int) -> str:
        """``features``, ``logits`` or ``masks``."""
        return phase_of(self.settings, epoch)

    def patches(self, epoch: int) -> Patches:
        """What is gone through in an epoch."""
        return self.train if self.taught is None or self.phase(epoch) == "masks" else self.taught

    def module(self, member: Member, epoch: int) -> tuple[nn.Module, Loss]:
        """What is called with the maps of a batch in an epoch, and the loss of its result."""
        if member.projection and self.phase(epoch) == "features":
            return FeaturesLesson(member.model, member.projection, self.teacher_moments), mean_over_patches
        if self.phase(epoch) == "logits":
            return LogitsLesson(member.model, self.settings["distil"]["temperature"]), mean_over_patches
        return member.model, self.loss_of


def refuse_unlabelled(pixels: int, split: str) -> None:
    """UnchokeError where a split has no pixel with a label."""
    if not pixels:
        raise UnchokeError(
            f"No pixel of the {split} split has a label.",
            found="pixels to be ignored alone",
            do="look at the masks, and at dataset.ignore and the values of the classes in the config",
        )
