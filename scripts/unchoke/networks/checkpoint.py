"""Stage: networks read from their checkpoints, to be used as heads are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke import versions
from unchoke.heads.rows import average_views
from unchoke.metrics import calibration
from unchoke.names import cut_pool
from unchoke.networks.build import ALL, build_network
from unchoke.networks.images import HeldImages, Images
from unchoke.networks.network import Network
from unchoke.networks.predict import logits_of
from unchoke.store.checkpoints import read_checkpoint_file

CPU = torch.device("cpu")
NEEDED = ("settings", "classes", "encoder", "temperatures", "micro_batch")


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network as its checkpoint holds it: a ``heads.checkpoint.Head`` on activations or pixels."""

    path: Path
    settings: dict[str, Any]
    """Its section of the config."""
    classes: list[str]
    """Their names, in the order of the C columns of logits and probabilities."""
    encoder: dict[str, Any]
    """Everything but the images that its activations or pixels depend on."""
    replicates: list[dict[str, torch.Tensor]]
    """Of the trained part, one for each seed."""
    temperatures: list[float]
    """Divisors of each replicate's logits for its probabilities; fitted on val."""
    micro_batch: int
    """Images that pass the trained part at once."""

    @cached_property
    def networks(self) -> list[Network]:
        """The trained part of each replicate, on the CPU."""
        settings = {**self.settings, "cache": "activations", "checkpointing": False, "drop_path": 0.0}
        built = [build_network(self.encoder, settings, len(self.classes), 0, None) for _ in self.replicates]
        for network, tensors in zip(built, self.replicates, strict=True):
            network.trained.load_state_dict(tensors)
        return built

    def logits(self, x: NDArray[Any] | torch.Tensor, device: torch.device = CPU, views: int = 1) -> NDArray[np.float32]:
        """Raw logits, float32 (R, N, C), of activations (N, …) or pixels, uint8 (N, 3, H, W); as of ``Head``."""
        values = np.asarray(x)
        nothing_N = np.zeros(len(values) // views, np.int64)
        return self.logits_of(HeldImages(nothing_N, nothing_N, values.reshape(views, -1, *values.shape[1:])), device)

    def logits_of(self, images: Images, device: torch.device = CPU) -> NDArray[np.float32]:
        """Raw logits, float32 (R, N, C), of images wherever they lie, their views averaged."""
        found = []
        for network in self.networks:
            network.trained.to(device)
            logits = logits_of(network, images, device, self.settings, self.micro_batch)
            found.append(average_views(logits, images.views).numpy())
        return np.stack(found)

    def probabilities(
        self, x: NDArray[Any] | torch.Tensor, device: torch.device = CPU, views: int = 1
    ) -> NDArray[np.float64]:
        """Calibrated probabilities of the classes, float64 (N, C): the mean over the replicates."""
        return np.asarray(calibration.probabilities(self.logits(x, device, views), self.temperatures).mean(0))


def trained_part(settings: Mapping[str, Any]) -> str:
    """What the database has in the place of a pool: ``all``, or ``last4`` where four blocks are trained."""
    return ALL if settings["blocks"] == ALL else cut_pool(settings["blocks"])


def read_network(path: Path) -> TrainedNetwork:
    """The network of a checkpoint; UnchokeError where the file is not one of ours."""
    facts, replicates = read_checkpoint_file(path, "network", versions.NETWORKS, NEEDED)
    return TrainedNetwork(path=path, replicates=replicates, **facts)
