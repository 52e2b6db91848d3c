"""The task that all members of an ablation share: rows, network, loss weights and the number of steps."""

import math
import threading
from functools import cached_property
from typing import Any

import torch

from unchoke import versions
from unchoke.hashing import sha256_bytes
from unchoke.heads.network import Network, Parameters
from unchoke.heads.rows import Rows, class_weights, moments, row_weights
from unchoke.training.resume import training_key

_PREPARED = 2**29  # most features that are standardised ahead: 2 GB of float32


class Task:
    """Rows of train and val, and how networks are trained on them."""

    def __init__(
        self,
        network: Network,
        train: Rows,
        val: Rows,
        n_classes: int,
        settings: dict[str, Any],
        device: torch.device,
    ) -> None:
        self.network, self.settings, self.device = network, settings, device
        self.train, self.val, self.n_classes = train, val, n_classes
        self.y_N = train.labels()
        self.mean_D, self.scale_D = moments(train.x_ND, settings["standardize"])
        self.x_ND, self.x_val_ND, self.prepared = train.x_ND, val.x_ND, False
        if train.x_ND.numel() + val.x_ND.numel() <= _PREPARED:
            self.x_ND, self.x_val_ND = self.standardized(train.x_ND), self.standardized(val.x_ND)
            self.prepared = True
        self.weight_C = class_weights(self.y_N, n_classes, settings["class_weights"])
        self.weight_N = row_weights(self.y_N, self.weight_C)
        self.batches = math.ceil(len(self.y_N) / settings["batch_size"])
        self.steps = settings["steps"] or settings["epochs"] * self.batches
        self.every = settings["validate_every"] or self.batches
        self.epochs = math.ceil(self.steps / self.every)
        self.stopped = threading.Event()

    def standardized(self, x_ND: torch.Tensor) -> torch.Tensor:
        """Rows as the networks see them, float32; unchanged where all rows were prepared at the start."""
        if self.prepared:
            return x_ND
        x_ND = x_ND.float()
        return (x_ND - self.mean_D).div_(self.scale_D) if self.settings["standardize"] else x_ND

    def first_parameters(self, seed: int) -> Parameters:
        """Initial parameters of one seed, each (in, out), on the CPU."""
        width = self.train.x_ND.shape[1]
        return self.network.first(torch.Generator().manual_seed(seed), width, self.n_classes, self.settings)

    @property
    def member_size(self) -> int:
        """Number of parameters of a member."""
        return sum(tensor.numel() for tensor in self.first_parameters(0).values())

    def key(self, seeds: list[int], grid: list[tuple[float, float]]) -> str:
        """Key of the state file of some members."""
        return training_key(versions.HEADS, self.settings, [self.n_classes, self._data_sha256, seeds, grid])

    @cached_property
    def _data_sha256(self) -> list[str]:
        rows = [self.train.x_ND, self.train.y_N, self.val.x_ND, self.val.y_N]
        return [sha256_bytes(tensor.cpu().contiguous().numpy().tobytes()) for tensor in rows]
