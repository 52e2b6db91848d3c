"""Scores of all members on val."""

import math
from itertools import product

import torch

from unchoke.heads.network import Parameters
from unchoke.heads.rows import score
from unchoke.heads.scores import SUMS, average_views, comparable, score_of, score_weights
from unchoke.heads.task import Task

_VAL_LOGITS = 2**23  # of val at once: members × images × views × classes, 32 MB


def val_scores(task: Task, now: Parameters) -> torch.Tensor:
    """Score of every member on val, float64 (S, L) on the CPU; NaN where a logit is not finite."""
    return _summed_scores(task, now) if task.settings["choose_by"] in SUMS else _whole_scores(task, now)


def _members(now: Parameters) -> tuple[int, int]:
    seeds, settings, *_ = next(iter(now.values())).shape
    return seeds, settings


def _summed_scores(task: Task, now: Parameters) -> torch.Tensor:
    """Scores that are sums over images: a block of images at a time, all members together."""
    members, views, y_N = _members(now), task.val.views, task.val.y_N
    x_VND = task.x_val_ND.unflatten(0, (views, len(y_N)))  # type: ignore[no-untyped-call]
    weight_N = score_weights(y_N, task.settings["choose_by"])
    block = max(1, _VAL_LOGITS // (math.prod(members) * task.n_classes * views))
    score_SL = torch.zeros(members, dtype=torch.float64, device=task.device)
    for start in range(0, len(y_N), block):
        images = slice(start, start + block)
        x_BD = task.standardized(x_VND[:, images].flatten(0, 1))
        logits_SLBC = task.network.forward(now, x_BD.expand(members[0], -1, -1))[-1].transpose(2, 3)
        score_SL += score_of(average_views(logits_SLBC, views), y_N[images], weight_N[images])
    return comparable(score_SL).cpu()


def _whole_scores(task: Task, now: Parameters) -> torch.Tensor:
    """Scores that need the logits of all images: one member at a time."""
    block, members = max(1, _VAL_LOGITS // task.n_classes), _members(now)
    score_SL = torch.empty(members, dtype=torch.float64)
    for seed, setting in product(*map(range, members)):
        own = {name: tensor[seed : seed + 1, setting : setting + 1] for name, tensor in now.items()}
        parts = [
            task.network.forward(own, task.standardized(rows_BD)[None])[-1][0, 0].T
            for rows_BD in torch.split(task.x_val_ND, block)
        ]
        score_SL[seed, setting] = score(torch.cat(parts), task.val, task.settings["choose_by"])
    return score_SL
