"""The choice of weights, of early stops, and of the best setting of an ablation on val.

A member is one setting (learning rate, weight decay) with one seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.training.resume import Tensors


def grid_of(settings: dict[str, Any]) -> list[tuple[float, float]]:
    """Every learning rate with every weight decay."""
    return list(product(settings["learning_rates"], settings["weight_decays"]))


def judge(tensors: Tensors, score: torch.Tensor, step: int, keep: str, patience: int | None = None) -> torch.Tensor:
    """Members whose weights are to be kept now, bool, shaped as `score`.

    tensors: ``scores``, float64, of the kept weights (NaN where unknown), is updated. With `patience` so are ``best``,
    ``best_step`` and ``ended``, created when missing; a member that has ended keeps its weights.
    score: float64 on val, higher is better, NaN for a diverged member. step: steps so far. keep: ``best`` or ``last``.
    patience: steps without a better score after which a member ends.
    """
    before = tensors["scores"]
    better = (score > before) | before.isnan() if keep == "best" else torch.ones_like(score, dtype=torch.bool)
    better &= ~ended(tensors)
    tensors["scores"] = torch.where(better, score, before)
    if patience is not None:
        _count_steps_since_best(tensors, score, step, patience)
    return better


def ended(tensors: Tensors) -> torch.Tensor:
    """Members that have stopped early, bool, shaped as ``scores``."""
    return tensors.get("ended", torch.zeros_like(tensors["scores"], dtype=torch.bool))


def _count_steps_since_best(tensors: Tensors, score: torch.Tensor, step: int, patience: int) -> None:
    """As Lightning's EarlyStopping counts validations, with min_delta 0."""
    best_score = tensors.get("best", torch.full_like(score, -torch.inf))
    best_step = tensors.get("best_step", torch.zeros_like(score, dtype=torch.int64))
    better, has_ended = score > best_score, ended(tensors)
    tensors["best"] = torch.where(better, score, best_score)
    tensors["best_step"] = torch.where(better, step, best_step)
    tensors["ended"] = has_ended | (step - tensors["best_step"] >= patience)


@dataclass(frozen=True)
class Choice:
    """The best setting of an ablation."""

    place: int
    """In the grid."""
    chosen: dict[str, float]
    history: dict[str, list[Any]]
    """Learning rate, weight decay and mean score of every setting; NaN where a seed diverged."""


def choose(settings: dict[str, Any], scores_SL: NDArray[np.float64], figure: str) -> Choice:
    """The setting whose mean score over the seeds is highest; UnchokeError where every setting has diverged.

    scores_SL: of each seed and each setting of ``grid_of``. figure: name of the score in the history.
    """
    mean_L = np.where(np.isfinite(scores_SL).all(0), scores_SL.mean(0), np.nan)
    place = best(mean_L.tolist(), settings["kind"])
    rates, decays = zip(*grid_of(settings), strict=True)
    history = {"learning_rate": list(rates), "weight_decay": list(decays), figure: mean_L.tolist()}
    return Choice(place, {"learning_rate": rates[place], "weight_decay": decays[place]}, history)


def best(scores: Sequence[float], what: str) -> int:
    """Place of the highest score, the first of equals; UnchokeError where none is known."""
    if not np.isfinite(scores).any():
        raise UnchokeError(
            f"No setting of the head {what} came to an end: all losses are infinite.", do="lower its learning_rates"
        )
    return int(np.nanargmax(scores))
