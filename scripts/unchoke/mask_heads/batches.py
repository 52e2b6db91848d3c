"""Batches of patches, and the statistics of all of them. 1 MB is 2**20 bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.machine.memory import MB
from unchoke.names import IGNORED
from unchoke.training.batches import Arrays, random_batches

Moments = dict[str, tuple[torch.Tensor, torch.Tensor]]
_LABEL = "label"


@dataclass(frozen=True)
class Batch:
    """Some patches, B of them."""

    maps: dict[str, NDArray[Any]]
    """Inputs of the head by name, each (B, C, h, w): features float16, pixels uint8."""
    label: NDArray[np.uint8]
    """Places of the pixels' classes (B, S, S), or IGNORED."""


class Patches(Protocol):
    """The patches of a split, with their labels, wherever they lie."""

    @property
    def channels(self) -> dict[str, int]:
        """Of each map, by its name."""

    @property
    def strides(self) -> dict[str, int]:
        """Pixels of the patch to a place of the map, by its name."""

    def __len__(self) -> int:
        """How many there are; `read` takes the places 0 to that."""

    def read(self, place_B: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        """Maps and label of some patches, as a ``Batch`` has them, in the order of their places."""


@dataclass(frozen=True)
class Held:
    """Patches in memory."""

    channels: dict[str, int]
    strides: dict[str, int]
    maps: dict[str, NDArray[Any]]
    label: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.label)

    def read(self, place_B: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        return {name: part[place_B] for name, part in self.maps.items()}, self.label[place_B]


def hold(patches: Patches, budget_mb: float) -> Patches:
    """The patches in memory where all of them fit into the budget, else as they are."""
    if len(patches) * patch_mb(patches) > budget_mb:
        return patches
    return Held(patches.channels, patches.strides, *patches.read(np.arange(len(patches))))


def patch_mb(patches: Patches) -> float:
    """Memory of one patch, MB."""
    maps, label = patches.read(np.zeros(1, np.int64))
    return sum(part.nbytes for part in (*maps.values(), label)) / MB


def batches(
    patches: Patches, batch_size: int, seed: int, epoch: int, chunk_size: int, budget_mb: float
) -> Iterator[Batch]:
    """Every patch once, in batches that are full but for the last; the same for the same arguments.

    chunk_size: consecutive places of a chunk; budget_mb: memory for patches; see ``training.batches``.
    """

    def read(place_N: NDArray[np.int64]) -> Arrays:
        maps, label = patches.read(place_N)
        return {**maps, _LABEL: label}

    rng = np.random.default_rng([seed, epoch])
    for arrays in random_batches(read, len(patches), batch_size, rng, chunk_size, budget_mb):
        label = arrays.pop(_LABEL)
        yield Batch(arrays, label)


def in_order(patches: Patches, batch_size: int) -> Iterator[Batch]:
    """Every patch once, by its place."""
    for start in range(0, len(patches), batch_size):
        yield Batch(*patches.read(np.arange(start, min(start + batch_size, len(patches)))))


def turned(batch: Batch, rng: np.random.Generator) -> Batch:
    """Each patch in one of its eight positions, by quarter turns and a flip; maps and label alike."""
    positions = rng.integers(0, 8, len(batch.label))
    maps = {name: np.stack(list(map(_turn, part, positions))) for name, part in batch.maps.items()}
    return Batch(maps, np.stack(list(map(_turn, batch.label, positions))))


def _turn(array_HW: NDArray[Any], position: int) -> NDArray[Any]:
    flipped = array_HW[..., ::-1] if position >= 4 else array_HW
    return np.rot90(flipped, position % 4, (-2, -1))


def tensors_of(maps: dict[str, NDArray[Any]], device: torch.device) -> dict[str, torch.Tensor]:
    """Maps as heads take them, float32: pixels 0 to 1, features as they are."""
    return {
        name: torch.from_numpy(part).to(device).float() / (255 if part.dtype == np.uint8 else 1)
        for name, part in maps.items()
    }


def survey(
    patches: Patches, n_classes: int, chunk_size: int, channels: dict[str, int] | None = None
) -> tuple[Moments, NDArray[np.int64]]:
    """Mean and deviation of every channel, float32 (C,), of each map; and how many pixels each class has, (K,).

    channels: of the maps to survey; None: all inputs of a head.

    Sums in float64 of float16 numbers and their squares lose next to nothing, and nothing where a channel is constant;
    the deviation of a constant channel is 1.
    """
    sums = {name: torch.zeros(2, width, dtype=torch.float64) for name, width in (channels or patches.channels).items()}
    pixels_K, places = np.zeros(n_classes, np.int64), dict.fromkeys(sums, 0)
    for batch in in_order(patches, chunk_size):
        known = batch.label[batch.label != IGNORED]
        pixels_K += np.bincount(known, minlength=n_classes)
        for name in sums:
            x = torch.from_numpy(batch.maps[name]).double()
            sums[name] += torch.stack([x.sum((0, 2, 3)), x.square().sum((0, 2, 3))])
            places[name] += x[:, 0].numel()
    return {name: _moments(*sums[name] / places[name]) for name in sums}, pixels_K


def _moments(mean_C: torch.Tensor, square_C: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    deviation_C = (square_C - mean_C.square()).clamp_min(0).sqrt()
    return mean_C.float(), torch.where(deviation_C > 0, deviation_C, 1).float()
