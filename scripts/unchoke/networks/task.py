"""The task of training a network, in one object: its images, its settings and its limits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from unchoke import versions
from unchoke.heads.rows import class_weights
from unchoke.names import OF_OTHER_TRAININGS
from unchoke.networks.images import Images, hold
from unchoke.networks.network import Network
from unchoke.training.batches import batch_count
from unchoke.training.choose import grid_of
from unchoke.training.resume import training_key


@dataclass(frozen=True)
class NetworkTask:
    """Images of train and val, and how a network is trained on them."""

    build: Callable[[int], Network]
    """A new network with the first weights of a seed, on the CPU."""
    train: Images
    val: Images
    settings: dict[str, Any]
    """A network of the config."""
    n_classes: int
    device: torch.device
    data_sha256: str
    """Digest of all that images and first weights come from."""
    chunk_size: int = 16
    """Images that lie together in a store."""
    budget_mb: float = 1024
    """Memory of the host for images, MB."""

    def held(self) -> "NetworkTask":
        """The task with its images in memory as far as they fit; train comes first."""
        half_mb = self.budget_mb / 2
        return replace(self, train=hold(self.train, half_mb), val=hold(self.val, half_mb), budget_mb=half_mb)

    @property
    def batches(self) -> int:
        """Steps of an epoch."""
        return batch_count(len(self.train.image_id_N), self.settings["batch_size"])

    @property
    def steps(self) -> int:
        """Steps of a member."""
        return self.settings["epochs"] * self.batches  # type: ignore[no-any-return]

    @property
    def members(self) -> int:
        """Every learning rate and weight decay with every seed."""
        return len(grid_of(self.settings)) * len(self.settings["seeds"])

    def class_weights(self) -> torch.Tensor:
        """Weight of each class in the loss, float32 (C,)."""
        return class_weights(torch.from_numpy(self.train.label_N), self.n_classes, self.settings["class_weights"])

    def key(self, rate: float, decay: float, seed: int, micro_batch: int) -> str:
        """Key of a member's state file."""
        own = {name: value for name, value in self.settings.items() if name not in OF_OTHER_TRAININGS}
        sizes = [len(self.train.image_id_N), len(self.val.image_id_N), self.n_classes, self.chunk_size, self.budget_mb]
        return training_key(versions.NETWORKS, own, [self.data_sha256, sizes, rate, decay, seed, micro_batch])
