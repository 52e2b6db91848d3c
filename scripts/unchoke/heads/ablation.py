"""Training of all members of an ablation at once: every learning rate and weight decay, with every seed.

A member is one setting (learning rate, weight decay) with one seed. Members of one seed start from the same weights and
see the same batches, so that one product of a batch with the weights of L settings does the work of L products. On a
card the products of all seeds are one batched call. On CPUs every thread trains some of the seeds by itself: no thread
waits for another, and the bits do not depend on the number of threads.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise, product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from unchoke.heads.group import Group
from unchoke.heads.network import Network, Parameters
from unchoke.heads.products import single_products
from unchoke.heads.rows import Rows
from unchoke.heads.task import Task
from unchoke.heads.train import Fitted
from unchoke.training.choose import choose, grid_of
from unchoke.training.resume import part_of

_T = TypeVar("_T")
_CURVES = ("train_loss", "val_score")
_MOST_PARAMETERS = 2**26  # of all members that train at once: 256 MB of float32, four times over
_GROUPS = 4  # at least, of few seeds on CPUs


def train_members(
    network: Network,
    train: Rows,
    val: Rows,
    n_classes: int,
    settings: dict[str, Any],
    device: torch.device,
    states: Path | None = None,
) -> Fitted:
    """Train every member, choose the setting whose mean score over the seeds is best on val, keep it with all seeds.

    states: folder of state files, from which an interrupted training goes on.
    """
    task = Task(network, train, val, n_classes, settings, device)
    trained = _train_groups(task, states)
    choice = choose(settings, trained["scores"].numpy(), "val_score")
    replicates = [
        {"mean": task.mean_D, "scale": task.scale_D}
        | {name: tensor[seed, choice.place].T.contiguous() for name, tensor in part_of(trained, "kept").items()}
        for seed in range(len(settings["seeds"]))
    ]
    return Fitted(replicates, choice.chosen, choice.history, {name: trained[name].numpy() for name in _CURVES})


def _train_groups(task: Task, states: Path | None) -> Parameters:
    """The results of all groups, joined."""
    with _threads(task.device) as threads, ThreadPoolExecutor(threads) as pool:
        grid = grid_of(task.settings)
        seed_parts, grid_parts = _parts(task.settings["seeds"], grid, task.member_size, task.device, threads)
        groups = [Group(task, *place, states) for place in product(seed_parts, grid_parts)]
        try:
            trained = list(pool.map(Group.train, groups, [group is not groups[-1] for group in groups]))
        except BaseException:
            task.stopped.set()  # the other groups end with their epoch
            raise
    return _joined(trained, len(grid_parts))


def _threads(device: torch.device) -> AbstractContextManager[int]:
    """Number of groups that may train at once; on CPUs each has one thread."""
    return single_products() if device.type == "cpu" else nullcontext(1)


def _parts(
    seeds: list[int], grid: list[tuple[float, float]], member_size: int, device: torch.device, threads: int
) -> tuple[list[list[int]], list[list[tuple[float, float]]]]:
    """Seeds and settings of the groups: every part of the seeds is trained with every part of the settings.

    Splits of the seeds change no bit, since each seed has products of its own. Splits of the settings may change the
    last bits, so they do not depend on the number of threads.
    """
    together = max(1, _MOST_PARAMETERS // (member_size * len(seeds)))
    least = math.ceil(_GROUPS / len(seeds)) if device.type == "cpu" else 1
    n_settings = min(len(grid), max(least, math.ceil(len(grid) / together)))
    return _split(seeds, min(threads, len(seeds))), _split(grid, n_settings)


def _split(whole: list[_T], parts: int) -> list[list[_T]]:
    """Consecutive parts of nearly the same length, longer ones first."""
    bounds = np.cumsum([0, *(len(whole[part::parts]) for part in range(parts))]).tolist()
    return [whole[start:stop] for start, stop in pairwise(bounds)]


def _joined(trained: list[Parameters], parts: int) -> Parameters:
    """The tensors of all groups as of one group; `parts`: groups of settings for each part of the seeds."""
    joined = {}
    epochs = max(len(group[name]) for group in trained for name in _CURVES)
    for group in trained:
        for name in _CURVES:  # a group whose members all ended early lacks the later values
            missing = group[name].new_full((epochs - len(group[name]), *group[name].shape[1:]), torch.nan)
            group[name] = torch.cat([group[name], missing])
    for name in trained[0]:
        of_seeds = [
            torch.cat([group[name] for group in trained[start : start + parts]], 1)
            for start in range(0, len(trained), parts)
        ]
        joined[name] = torch.cat(of_seeds, 2 if name in _CURVES else 0)
    return joined
