"""Stage: the choice of a network's learning rate and weight decay on val, and its figures, read once on test."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unchoke import versions
from unchoke.heads.rows import Rows
from unchoke.heads.train import Fitted, TrainedHead, judge_head, scores_as_figures, store_digests, write_head
from unchoke.networks.checkpoint import TrainedNetwork, trained_part
from unchoke.networks.member import Member
from unchoke.networks.sources import Sources
from unchoke.store.checkpoints import read_checkpoint_file, write_checkpoint
from unchoke.store.read import FeatureStore
from unchoke.store.run_record import NETWORK, write_run
from unchoke.training.choose import choose, grid_of
from unchoke.training.resume import Tensors

Key = tuple[float, float, int]
"""Learning rate, weight decay and seed of a training."""


@dataclass(frozen=True)
class MemberFile:
    """One training of a network, as its file holds it."""

    tensors: Tensors
    """Of the trained part."""
    score: float
    """On val, of these weights; the higher, the better."""
    curves: dict[str, list[float]]
    """``train_loss`` and ``val_score`` of each epoch."""
    facts: dict[str, Any]
    """As of ``member.Member``."""


_NEEDED = ("score", "curves", "facts")


def write_member(path: Path, member: Member, seconds: float, device: torch.device) -> None:
    """Write one training as a checkpoint of its own, and what differs from run to run beside it."""
    write_run(path.with_suffix(".json"), seconds, device.type, **member.facts)
    curves = {name: values.tolist() for name, values in member.curves.items()}
    described = {"score": member.score, "curves": curves, "facts": member.facts}
    write_checkpoint(path, [member.tensors], {"version": versions.NETWORKS, **described})


def read_member(path: Path) -> MemberFile:
    """What ``write_member`` wrote; UnchokeError where it is something else."""
    facts, (tensors,) = read_checkpoint_file(path, "training of a network", versions.NETWORKS, _NEEDED)
    return MemberFile(tensors, **facts)


@dataclass(frozen=True)
class Choice:
    """The best setting of a network, with what it is worth."""

    head: TrainedHead
    network: TrainedNetwork
    members: list[Key]
    """Its trainings, one for each seed."""


def choose_network(
    members: Mapping[Key, MemberFile], settings: Mapping[str, Any], sources: Sources, device: torch.device
) -> Choice:
    """The setting whose score on val is best, the mean over its seeds; its figures on val, and once on test.

    members: all of ``member_keys``. settings: of the config. Raises UnchokeError where every setting has diverged.
    """
    started = time.perf_counter()
    described = {"kind": NETWORK, "pool": trained_part(settings), **settings}
    fitted = fitted_of(members, described)
    keys = [(fitted.chosen["learning_rate"], fitted.chosen["weight_decay"], seed) for seed in settings["seeds"]]
    micro_batch = min(members[key].facts["micro_batch"] for key in keys)
    origin = sources.classes, sources.facts, fitted.replicates
    network = TrainedNetwork(Path(), described, *origin, [], micro_batch, sources.weights)
    rows = {
        split: Rows(torch.empty(0), torch.from_numpy(part.label_N), part.image_id_N, part.group_N, part.views)
        for split, part in sources.images.items()
    }
    logits = {split: network.logits_of(sources.images[split], device) for split in ("val", "test")}
    return Choice(judge_head(fitted, network.classes, rows, logits, started), network, keys)


def fitted_of(members: Mapping[Key, MemberFile], settings: dict[str, Any]) -> Fitted:
    """The best setting as heads have theirs. settings: with ``kind``."""
    of_SL = [[members[rate, decay, seed] for rate, decay in grid_of(settings)] for seed in settings["seeds"]]
    scores_SL = np.array([[member.score for member in row] for row in of_SL], np.float64)
    choice = choose(settings, scores_SL, "val_score")
    curves = {
        name: np.array([[member.curves[name] for member in row] for row in of_SL], np.float32).transpose(2, 1, 0)
        for name in ("train_loss", "val_score")
    }
    replicates = [row[choice.place].tensors for row in of_SL]
    return scores_as_figures(Fitted(replicates, choice.chosen, choice.history, curves), settings)


def member_keys(settings: Mapping[str, Any]) -> list[Key]:
    """Learning rate, weight decay and seed of every training."""
    return [(rate, decay, seed) for rate, decay in grid_of(dict(settings)) for seed in settings["seeds"]]


def save_network(choice: Choice, stores: dict[str, FeatureStore], group: Path, checkpoint: Path) -> None:
    """Write the checkpoint and the results as those of a head; see ``store.run_record``."""
    network = choice.network
    described = {
        "version": versions.NETWORKS,
        "settings": network.settings,
        "encoder": network.encoder,
        "store": next(iter(stores.values())).path.stem.partition("@")[0],
        "features_sha256": store_digests(stores),
        "micro_batch": network.micro_batch,
    }
    write_head(choice.head, described, group, checkpoint)
