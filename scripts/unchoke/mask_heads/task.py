"""The task of training a mask head, in one object: patches, settings and limits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from unchoke import versions
from unchoke.mask_heads.batches import Patches, hold
from unchoke.training.resume import training_key

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Task:
    """Patches of train and val, and how a mask head is trained on them."""

    train: Patches
    val: Patches
    settings: dict[str, Any]
    """A mask head of the config."""
    n_classes: int
    device: torch.device
    data_sha256: str
    """Digest of the stores that the patches come from."""
    teacher_patches: Patches | None = None
    """Patches with a teacher's targets, where the settings distil; see ``mask_heads.distil``."""
    chunk_size: int = 16
    """Patches that lie together in a store."""
    budget_mb: float = 2048
    """Memory for patches, shared evenly by all of the above."""
    states: Path | None = None
    """Folder of the state files; None: nothing is kept."""
    progress: Progress | None = None
    """Called after each epoch with epochs done, epochs in all, and the best score so far."""

    def held(self) -> "Task":
        """The task with its patches in memory as far as they fit; the budget becomes each one's share."""
        given = {"train": self.train, "val": self.val, "teacher_patches": self.teacher_patches}
        there = {name: patches for name, patches in given.items() if patches is not None}
        share_mb = self.budget_mb / len(there)
        held: dict[str, Any] = {name: hold(patches, share_mb) for name, patches in there.items()}
        return replace(self, **held, budget_mb=share_mb)

    def key(self) -> str:
        """Key of the state file."""
        sizes = [len(patches) for patches in (self.train, self.val, self.teacher_patches) if patches is not None]
        shapes = [self.train.channels, self.train.strides, self.n_classes, self.chunk_size, self.budget_mb]
        return training_key(versions.MASK_HEADS, self.settings, [self.data_sha256, sizes, shapes])
