"""A sample of the images, and a network of the config that is trained on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from unchoke.encoders.pixels import NO_ENCODER, Pixels
from unchoke.names import cut_pool
from unchoke.networks.build import ALL, sees_pixels
from unchoke.pipelines.work import Work

EPOCHS = 2
"""Of a training here: a cold one and a warm one."""
MICRO_BATCH = "micro_batch"
"""In the place of a key of the network: no config has it."""
_OURS: dict[str, Any] = {
    "epochs": EPOCHS,
    "keep": "last",
    "choose_by": "accuracy",
    "start": None,
    "cards": 1,
    "minutes": None,
    "train_views": ["identity"],
    "test_views": ["identity"],
}
"""Settings that every training has here."""


@dataclass(frozen=True)
class NetworkWork(Work):
    """The work, where a network is trained; ``settings`` is how its caches are made."""

    name: str = ""
    network: dict[str, Any] = field(default_factory=dict)
    """Its section of the config."""
    network_batch: int = 0
    """Images of a micro-batch; 0: not planned yet."""
    share: float = 1.0
    """Of all images, that the sample is: it has the same share of the memory that a training has for images."""

    def with_keys(self, keys: Mapping[str, Any]) -> "NetworkWork":
        """The same with other keys of the network, or another ``MICRO_BATCH``."""
        own = {key: value for key, value in keys.items() if key != MICRO_BATCH}
        network, size = {**self.network, **own}, keys.get(MICRO_BATCH, self.network_batch)
        pool = self.pool if sees_pixels(network) else cut_pool(network["blocks"])
        return replace(self, network=network, network_batch=size, pool=pool)

    def keys(self) -> dict[str, Any]:
        """The keys of the network in the config that choose how it is trained here."""
        cut = () if self.network["blocks"] == ALL else ("cache",)
        return {key: self.network[key] for key in (*cut, "precision", "compile")}

    @property
    def single(self) -> dict[str, Any]:
        """The network's settings for one training: its middle learning rate, its first weight decay and seed."""
        rates = sorted(self.network["learning_rates"])
        first = {key: self.network[key][:1] for key in ("weight_decays", "seeds")}
        return {**self.network, **_OURS, **first, "learning_rates": rates[len(rates) // 2 :][:1]}

    def pixels(self) -> Pixels:
        """What pictures become where the network reads pixels."""
        if self.network["encoder"] is None:
            return Pixels(self.network["image_size"], NO_ENCODER)
        encoder = replace(self, device="cpu").encoder()
        return Pixels(encoder.image_size, encoder.card["data_config"])
