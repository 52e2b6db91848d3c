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
from unchoke.encoders.activations import read_shape
from unchoke.errors import UnchokeError
from unchoke.heads.checkpoint import Head, read_checkpoint
from unchoke.heads.scores import average_views
from unchoke.metrics import calibration
from unchoke.names import cut_pool
from unchoke.networks.build import ALL, build_network, sees_pixels
from unchoke.networks.images import HeldImages, Images
from unchoke.networks.network import Network
from unchoke.networks.predict import logits_of
from unchoke.store.checkpoints import holds_network, read_checkpoint_file

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
    weights: Path | None = None
    """File of the encoder, which the frozen part needs where it runs on pixels (``cache: none``)."""

    @property
    def sees_pixels(self) -> bool:
        """Whether ``logits`` takes pixels; else it takes activations."""
        return sees_pixels(self.settings)

    @property
    def needs_weights(self) -> bool:
        """Whether a part of it stands in the encoder's weights file alone."""
        return bool(self.settings["blocks"] != ALL)

    @cached_property
    def networks(self) -> list[Network]:
        """Each replicate, on the CPU; of those on activations the trained part."""
        weights = self.weights if self.needs_weights and self.sees_pixels else None
        if self.needs_weights and self.sees_pixels and weights is None:
            raise UnchokeError(
                "The frozen part of the network stands in the file of its encoder's weights.",
                found="no such file given",
                expected=f"sha256 {self.encoder['weights_sha256']}",
                where=str(self.path),
                do="call unchoke.predict, which looks for it, or give dataclasses.replace(network, weights=Path(…))",
            )
        return [self.build(number, weights) for number in range(len(self.replicates))]

    def build(self, replicate: int, weights: Path | None) -> Network:
        """One replicate. weights: file of the encoder, for the frozen part; None leaves it at random.

        UnchokeError where the checkpoint's tensors are not those of the trained part.
        """
        settings = {**self.settings, "checkpointing": False, "drop_path": 0.0}
        network = build_network(self.encoder, settings, len(self.classes), 0, weights)
        try:
            network.trained.load_state_dict(self.replicates[replicate])
        except RuntimeError as error:
            raise UnchokeError(
                "The checkpoint does not fit its network.",
                found=" ".join(str(error).split())[:300],
                expected=f"{trained_part(self.settings)} of {self.encoder['model']} for {len(self.classes)} classes",
                where=str(self.path),
                do="use the release of timm that the network was trained with (runs/…), or train it anew",
            ) from None
        return network

    def logits(self, x: NDArray[Any] | torch.Tensor, device: torch.device = CPU, views: int = 1) -> NDArray[np.float32]:
        """Raw logits, float32 (R, N, C), of pixels, uint8 (N, 3, H, W), or activations as their store has them.

        Other arguments as of ``Head``.
        """
        values, nothing_N = np.asarray(x), np.zeros(len(x) // views, np.int64)
        shape = values.shape[1:] if self.sees_pixels else read_shape(self.encoder)
        return self.logits_of(HeldImages(nothing_N, nothing_N, values.reshape(views, -1, *shape)), device)

    def logits_of(self, images: Images, device: torch.device = CPU) -> NDArray[np.float32]:
        """Raw logits, float32 (R, N, C), of images wherever they lie, their views averaged."""
        found = []
        for network in self.networks:
            for part in filter(None, (network.trained, network.frozen)):
                part.to(device)
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


def read_trained(path: Path) -> Head | TrainedNetwork:
    """The head or the network of a checkpoint; UnchokeError where the file holds neither."""
    return read_network(path) if holds_network(path) else read_checkpoint(path)
