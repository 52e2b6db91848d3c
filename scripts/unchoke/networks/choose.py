"""Stage: the choice of a network's learning rate and weight decay on val, and its figures, read once on test."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke import versions
from unchoke.heads.rows import Rows
from unchoke.heads.train import Fitted, TrainedHead, judge_head, scores_as_figures, store_digests, write_head
from unchoke.networks.checkpoint import TrainedNetwork
from unchoke.networks.images import Images
from unchoke.networks.sources import Sources
from unchoke.store.checkpoints import read_checkpoint_file, write_checkpoint
from unchoke.store.read import FeatureStore
from unchoke.training.choose import choose, grid_of

_READ_MB = 256
"""Memory of the images that are read at once to be judged, MB."""


@dataclass(frozen=True)
class Member:
    """One training of a network: one learning rate, weight decay and seed."""

    tensors: dict[str, torch.Tensor]
    """Of the trained part."""
    score: float
    """On val, of the kept weights; higher is better."""
    curves: dict[str, list[float]]
    """``train_loss`` and ``val_score`` of each epoch."""
    seconds: float
    micro_batch: int
    """Images at once at its end."""


FACTS = ("score", "curves", "seconds", "micro_batch")


def write_member(path: Path, member: Member) -> None:
    """Write one training as a checkpoint of its own."""
    facts = {name: getattr(member, name) for name in FACTS}
    write_checkpoint(path, [member.tensors], {"version": versions.NETWORKS, **facts})


def read_member(path: Path) -> Member:
    """What ``write_member`` wrote; UnchokeError where it is something else."""
    facts, (tensors,) = read_checkpoint_file(path, "training of a network", versions.NETWORKS, FACTS)
    return Member(tensors, **facts)


def fitted_of(members: Mapping[tuple[float, float, int], Member], settings: dict[str, Any]) -> Fitted:
    """The setting that is best on val, over its seeds. members: by learning rate, weight decay and seed."""
    grid, seeds = grid_of(settings), settings["seeds"]
    of_SL = [[members[rate, decay, seed] for rate, decay in grid] for seed in seeds]
    scores_SL = np.array([[member.score for member in row] for row in of_SL], np.float64)
    choice = choose(settings, scores_SL, "val_score")
    curves = {
        name: np.array([[member.curves[name] for member in row] for row in of_SL], np.float32).transpose(2, 1, 0)
        for name in ("train_loss", "val_score")
    }
    replicates = [row[choice.place].tensors for row in of_SL]
    return scores_as_figures(Fitted(replicates, choice.chosen, choice.history, curves), settings)


def chosen_members(settings: Mapping[str, Any], chosen: Mapping[str, float]) -> list[tuple[float, float, int]]:
    """Learning rate, weight decay and seed of the trainings that make up the network."""
    return [(chosen["learning_rate"], chosen["weight_decay"], seed) for seed in settings["seeds"]]


def choose_network(network: TrainedNetwork, fitted: Fitted, sources: Sources, device: torch.device) -> TrainedHead:
    """The figures of a network, which is that of `fitted`, on val and test; its temperatures are not yet known."""
    started = time.perf_counter()
    rows = {
        split: Rows(torch.empty(0), torch.from_numpy(part.label_N), part.image_id_N, sources.groups[split], part.views)
        for split, part in sources.images.items()
    }
    logits = {split: logits_of(network, sources.images[split], device) for split in ("val", "test")}
    return judge_head(fitted, network.classes, rows, logits, started)


def logits_of(network: TrainedNetwork, images: Images, device: torch.device) -> NDArray[np.float32]:
    """Logits (R, N, C) of a network, the views of an image averaged; images are read some at a time."""
    first, parts = np.zeros(1, np.int64), []
    at_once = max(1, int(_READ_MB * 2**20 / (images.views * images.read(first, first).nbytes)))
    for places in np.array_split(np.arange(len(images.image_id_N)), -(-len(images.image_id_N) // at_once)):
        views = [images.read(places, np.full(len(places), view)) for view in range(images.views)]
        parts.append(network.logits(np.concatenate(views), device, images.views))
    return np.concatenate(parts, 1)


def save_network(
    head: TrainedHead,
    network: TrainedNetwork,
    stores: dict[str, FeatureStore],
    group: Path,
    checkpoint: Path,
) -> None:
    """Write the checkpoint and the results as those of a head; see ``store.run_record``."""
    described = {
        "version": versions.NETWORKS,
        "settings": network.settings,
        "encoder": network.encoder,
        "store": next(iter(stores.values())).path.stem.partition("@")[0],
        "features_sha256": store_digests(stores),
        "micro_batch": network.micro_batch,
    }
    write_head(head, described, group, checkpoint)


def member_keys(settings: Mapping[str, Any]) -> Sequence[tuple[float, float, int]]:
    """Learning rate, weight decay and seed of every training."""
    return [(rate, decay, seed) for rate, decay in grid_of(dict(settings)) for seed in settings["seeds"]]
