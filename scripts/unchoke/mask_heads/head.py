"""Stage: heads that give each pixel a class. One module a kind in ``kinds/``, each with

    build(channels, strides, n_classes, settings) -> torch.nn.Module

whose forward takes maps by name, each (B, C, h, w), and gives logits (B, K, S, S) for patches of S px. The maps:
"s4", "s8", …, an encoder's features of that stride, or "pixels", from 0 to 1. ``ablation`` trains them
by ``losses``, ``receptive_field`` measures their receptive fields.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unchoke import versions
from unchoke.machine.halving import in_halves
from unchoke.mask_heads.batches import tensors_of
from unchoke.mask_heads.steps import logits_of
from unchoke.metrics.grids import choice_text, grid_edges
from unchoke.store.checkpoints import read_checkpoint_file
from unchoke.store.run_record import write_results

CPU = torch.device("cpu")
FACTS = ("classes", "patch_px", "encoder", "reach_px")
"""Of a checkpoint, beside settings, channels and strides; ``reach_px`` is the radius of the receptive field."""


@dataclass(frozen=True)
class TrainedMaskHead:
    """A mask head after its training on train and its choice on val."""

    settings: dict[str, Any]
    n_classes: int
    channels: dict[str, int]
    strides: dict[str, int]
    replicates: list[dict[str, torch.Tensor]]
    """Weights and buffers of the network, one for each seed."""
    chosen: dict[str, Any]
    """The best setting on val."""
    history: dict[str, list[Any]]
    """One entry for each setting: learning_rate, weight_decay, val_iou (mean over the seeds, NaN where diverged)."""
    curves: dict[str, NDArray[np.float32]]
    """``train_loss`` and ``val_iou``, (epochs, settings, seeds)."""
    micro_batch: int
    """Patches that the memory of the device held at once, at most a batch; batch norm and batch Dice depend on it."""
    seconds: float

    @property
    def choice(self) -> str:
        """The chosen setting in words, marked where it lies at the edge of its grid."""
        return choice_text(self.chosen, grid_edges(self.chosen, self.history))

    def modules(self, device: torch.device = CPU) -> list[nn.Module]:
        """The networks, ready to predict."""
        return _modules(self.settings, self.channels, self.strides, self.n_classes, self.replicates, device)


@dataclass(frozen=True)
class MaskHead:
    """A mask head as its checkpoint holds it."""

    path: Path
    settings: dict[str, Any]
    """Its section of the config."""
    classes: list[str]
    """Their names, in the order of the K probabilities of a pixel."""
    channels: dict[str, int]
    strides: dict[str, int]
    patch_px: int
    encoder: dict[str, Any] | None
    """Everything but the images that its features depend on; None for a head on pixels."""
    radius_px: int | None
    """Radius of the receptive field, px; None: the whole patch."""
    replicates: list[dict[str, torch.Tensor]]

    @cached_property
    def modules(self) -> list[nn.Module]:
        """One network for each seed, on the CPU, ready to predict; ``module.to(device)`` moves it."""
        return _modules(self.settings, self.channels, self.strides, len(self.classes), self.replicates, CPU)


def kind_of(settings: dict[str, Any]) -> Any:
    """The module of a mask head's kind."""
    return importlib.import_module(f"unchoke.mask_heads.kinds.{settings['kind']}")


def _modules(
    settings: dict[str, Any],
    channels: dict[str, int],
    strides: dict[str, int],
    n_classes: int,
    replicates: list[dict[str, torch.Tensor]],
    device: torch.device,
) -> list[nn.Module]:
    modules = []
    for tensors in replicates:
        with torch.random.fork_rng(devices=[]):  # discarded initial weights do not advance the global random state
            module = kind_of(settings).build(channels, strides, n_classes, settings)
        module.load_state_dict(tensors)
        modules.append(module.to(device).eval().requires_grad_(False))
    return modules


def predict(
    modules: Sequence[nn.Module], maps: Mapping[str, NDArray[Any]], precision: str = "float32"
) -> NDArray[np.float32]:
    """Probabilities (B, K, S, S), float32: the mean over the networks, on the device that these are on.

    maps: features float16 or float32, pixels uint8, each (B, C, h, w). precision: of the products, as in the settings.
    """
    device = next(modules[0].parameters()).device
    patches = len(next(iter(maps.values())))

    def attempt(size: int) -> list[NDArray[np.float32]]:
        rows = [slice(start, start + size) for start in range(0, patches, size)]
        return [
            _mean_of(modules, tensors_of({k: x[part] for k, x in maps.items()}, device), precision) for part in rows
        ]

    return np.concatenate(in_halves(attempt, patches)[0])


def _mean_of(modules: Sequence[nn.Module], maps: dict[str, torch.Tensor], precision: str) -> NDArray[np.float32]:
    total = logits_of(modules[0], maps, precision).softmax(1)
    for module in modules[1:]:
        total += logits_of(module, maps, precision).softmax(1)
    mean: NDArray[np.float32] = (total / len(modules)).cpu().numpy()
    return mean


def save_mask_head(
    head: TrainedMaskHead,
    facts: dict[str, Any],
    group: Path,
    checkpoint: Path,
    arrays: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write the checkpoint and the results; see ``store.run_record``.

    facts: plain data, with those of ``FACTS``; others (metrics, digests) go into the group alone, as do `arrays`.
    """
    described = {
        "version": versions.MASK_HEADS,
        "settings": head.settings,
        "channels": head.channels,
        "strides": head.strides,
        **{name: facts[name] for name in FACTS},
    }
    scores = [score if np.isfinite(score) else None for score in head.history["val_iou"]]
    own = {"chosen": head.chosen, "history": {**head.history, "val_iou": scores}, "micro_batch": head.micro_batch}
    curves = {f"curves/{name}": curve for name, curve in head.curves.items()}
    write_results(group, checkpoint, head.replicates, described, {**facts, **own}, {**(arrays or {}), **curves})


def read_mask_checkpoint(path: Path) -> MaskHead:
    """The mask head of a checkpoint; UnchokeError where the file is not one of ours, or of another version."""
    needed = ("settings", "channels", "strides", *FACTS)
    facts, replicates = read_checkpoint_file(path, "mask head", versions.MASK_HEADS, needed)
    radius_px = facts.pop("reach_px")
    return MaskHead(path=path, replicates=replicates, radius_px=radius_px, **facts)
