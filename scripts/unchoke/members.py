"""Training of all members of an ablation at once: every learning rate and weight decay, with every seed.

A member is one setting (learning rate, weight decay) with one seed. A parameter of all members is one tensor
(S, L, out, in) for S seeds and L settings. Members of one seed start from the same weights and see the same batches, so
one product of a seed's batch with the weights of all its settings does the work of L; members of other seeds have
batches of their own, and the products of all seeds are one batched call. No member depends on which others there are.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from unchoke import versions
from unchoke.files import write_atomic
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.heads import Fitted
from unchoke.heads.rows import (
    Rows,
    average_views,
    best,
    class_weights,
    comparable,
    moments,
    score_of,
    score_weights,
)

Parameters = dict[str, torch.Tensor]
First = Callable[[torch.Generator, int, int, dict[str, Any]], Parameters]
Logits = Callable[[Parameters, torch.Tensor], torch.Tensor]

DRAFT_EVERY_S = 5.0  # how much work an interruption may cost
_SECOND_RATE, _EPSILON = 0.999, 1e-8  # AdamW's, torch's defaults
_VAL_LOGITS = 2**23  # of val at once: members × images × views × classes, 32 MB
_PREPARED = 2**29  # most features that are standardised ahead: 2 GB of float32
_MOST_PARAMETERS = 2**26  # of all members that train at once: 256 MB of float32, four times over


@dataclass
class _State:
    """Where the training of a group of members stands."""

    epoch: int
    tensors: Parameters
    """`now.*` the parameters, `first.*` and `second.*` their moments, `kept.*` those that are kept, with `scores`
    (S, L), and the curves so far, `train_loss` and `val_score` (epochs, L, S)."""


def train_members(
    first: First,
    logits_of: Logits,
    train: Rows,
    val: Rows,
    n_classes: int,
    settings: dict[str, Any],
    device: torch.device,
    drafts: Path | None,
) -> Fitted:
    """Train every member, choose the setting whose mean score over the seeds is best on val, keep it with all seeds.

    first: parameters of one seed, each (in, out). logits_of: logits (S, L, C, B) from parameters and rows (S, B, D).
    drafts: folder in which the state is kept at the end of epochs, from which an interrupted training goes on.
    """
    grid = list(product(settings["learning_rates"], settings["weight_decays"]))
    size = sum(tensor.numel() for tensor in first(torch.Generator(), train.x_ND.shape[1], n_classes, settings).values())
    together = max(1, _MOST_PARAMETERS // (size * len(settings["seeds"])))
    parts, statistics = [], moments(train.x_ND, settings["standardize"])
    for start in range(0, len(grid), together):
        some, more = grid[start : start + together], start + together < len(grid)
        group = _Group(first, logits_of, train, val, n_classes, settings, device, some, statistics)
        parts.append(group.train(drafts / f"{start}.safetensors" if drafts else None, more))
        del group  # its copy of the features
    kept = {name: torch.cat([part[name] for part in parts], 1) for name in parts[0] if name.startswith("kept.")}
    scores_SL = torch.cat([part["scores"] for part in parts], 1).numpy()
    curves = {name: torch.cat([part[name] for part in parts], 1).numpy() for name in ("train_loss", "val_score")}
    mean_L = np.where(np.isfinite(scores_SL).all(0), scores_SL.mean(0), np.nan)
    place = best(mean_L.tolist(), settings["kind"])
    replicates = [
        dict(zip(("mean", "scale"), statistics, strict=True))
        | {name.removeprefix("kept."): tensor[seed, place].T.contiguous() for name, tensor in kept.items()}
        for seed in range(len(settings["seeds"]))
    ]
    rates, decays = zip(*grid, strict=True)
    history = {"learning_rate": list(rates), "weight_decay": list(decays), "val_score": mean_L.tolist()}
    chosen = {"learning_rate": rates[place], "weight_decay": decays[place]}
    return Fitted(replicates, chosen, history, curves)


class _Group:
    """Members that train at once."""

    def __init__(
        self,
        first: First,
        logits_of: Logits,
        train: Rows,
        val: Rows,
        n_classes: int,
        settings: dict[str, Any],
        device: torch.device,
        grid: list[tuple[float, float]],
        statistics: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        self.first, self.logits_of, self.settings, self.device = first, logits_of, settings, device
        self.train_rows, self.val, self.n_classes, self.grid = train, val, n_classes, grid
        self.y_N = train.labels()
        self.mean_D, self.scale_D = statistics
        small = train.x_ND.numel() + val.x_ND.numel() <= _PREPARED
        self.x_ND, self.x_val_ND = (self._standardized(x_ND) if small else x_ND for x_ND in (train.x_ND, val.x_ND))
        self.weight_C = class_weights(self.y_N, n_classes, settings["class_weights"])
        self.rate_L, self.decay_L = (torch.tensor(column, device=device) for column in zip(*grid, strict=True))
        batches = math.ceil(len(self.y_N) / settings["batch_size"])
        self.batches = batches
        self.steps = settings["steps"] or settings["epochs"] * batches
        self.epochs = math.ceil(self.steps / batches)

    def train(self, draft: Path | None, more: bool) -> Parameters:
        """Tensors of the finished training: kept parameters, scores and curves; `more`: other groups will follow."""
        state, saved = self._resume(draft) or self._begin(), time.monotonic()
        while state.epoch < self.epochs:
            self._run_epoch(state)
            done = state.epoch == self.epochs
            if draft and (more if done else time.monotonic() - saved > DRAFT_EVERY_S):
                self._save(state, draft)
                saved = time.monotonic()
        return {name: tensor.cpu() for name, tensor in state.tensors.items()}

    def _begin(self) -> _State:
        width, seeds = self.train_rows.x_ND.shape[1], self.settings["seeds"]
        drawn = [self.first(torch.Generator().manual_seed(s), width, self.n_classes, self.settings) for s in seeds]
        tensors: Parameters = {}
        for name in drawn[0]:
            one_S = torch.stack([parameters[name] for parameters in drawn]).to(self.device)
            now = one_S.transpose(1, 2)[:, None].repeat(1, len(self.grid), 1, 1)
            tensors |= {f"now.{name}": now, f"first.{name}": torch.zeros_like(now), f"kept.{name}": now.clone()}
            if self.settings["optimizer"] == "adamw":
                tensors[f"second.{name}"] = torch.zeros_like(now)
        members = (len(seeds), len(self.grid))
        tensors["scores"] = torch.full(members, torch.nan, dtype=torch.float64)
        tensors |= {name: torch.zeros(0, *members[::-1]) for name in ("train_loss", "val_score")}
        return _State(0, tensors)

    def _run_epoch(self, state: _State) -> None:
        """All batches of an epoch, then val."""
        size, rows, seeds = self.settings["batch_size"], len(self.y_N), self.settings["seeds"]
        orders = [np.random.default_rng([seed, state.epoch]).permutation(rows) for seed in seeds]
        order_SN = torch.from_numpy(np.stack(orders)).to(self.device)
        loss_SL = torch.zeros(len(seeds), len(self.grid), device=self.device)
        begun = state.epoch * self.batches
        batches = min(self.batches, self.steps - begun)
        for batch in range(batches):
            place_SB = order_SN[:, batch * size : (batch + 1) * size]
            loss_SL += self._step(state, begun + batch, place_SB)
        state.epoch += 1
        self._score(state, loss_SL / batches)

    def _step(self, state: _State, step: int, place_SB: torch.Tensor) -> torch.Tensor:
        """One step of every member; the losses (S, L)."""
        x_SBD = self._standardized(self.x_ND.index_select(0, place_SB.flatten())).view(*place_SB.shape, -1)
        now = {name[4:]: tensor.requires_grad_() for name, tensor in state.tensors.items() if name.startswith("now.")}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings["precision"] == "bfloat16"):
            logits_SLCB = self.logits_of(now, x_SBD)
        loss_SL = self._losses(logits_SLCB.float(), self.y_N[place_SB])
        gradients = torch.autograd.grad(loss_SL.sum(), list(now.values()))
        with torch.no_grad():
            for name, gradient in zip(now, gradients, strict=True):
                self._update(state.tensors, name, gradient, step)
        return loss_SL.detach()

    def _standardized(self, x_ND: torch.Tensor) -> torch.Tensor:
        """Rows as the members see them, float32; they may have been prepared at the start."""
        if x_ND.dtype == torch.float32:
            return x_ND
        x_ND = x_ND.float()
        return x_ND.sub_(self.mean_D).div_(self.scale_D) if self.settings["standardize"] else x_ND

    def _losses(self, logits_SLCB: torch.Tensor, y_SB: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each member (S, L), with class weights and label smoothing as torch's CrossEntropyLoss."""
        share = self.settings["label_smoothing"]
        log_SLCB = torch.log_softmax(logits_SLCB, 2)
        weight_S1B = self.weight_C[y_SB][:, None]
        target = y_SB[:, None, None].expand(-1, log_SLCB.shape[1], 1, -1)
        loss_SLB = -log_SLCB.gather(2, target)[:, :, 0] * weight_S1B
        if share:
            loss_SLB = (1 - share) * loss_SLB - share * (log_SLCB * self.weight_C[:, None]).mean(2)
        return loss_SLB.sum(2) / weight_S1B.sum(2)

    def _update(self, tensors: Parameters, name: str, gradient: torch.Tensor, step: int) -> None:
        """SGD with momentum, or AdamW (Loshchilov and Hutter 2019), as torch.optim has them; a rate a setting."""
        now, first, momentum = tensors[f"now.{name}"], tensors[f"first.{name}"], self.settings["momentum"]
        rate_L11 = self.rate_L[:, None, None] * self._schedule(step)
        decay_L11 = self.decay_L[:, None, None]
        if self.settings["optimizer"] == "sgd":
            first.mul_(momentum).add_(gradient + decay_L11 * now if any(decay for _, decay in self.grid) else gradient)
            now.addcmul_(rate_L11, first, value=-1)
            return
        second = tensors[f"second.{name}"]
        first.lerp_(gradient, 1 - momentum)
        second.mul_(_SECOND_RATE).addcmul_(gradient, gradient, value=1 - _SECOND_RATE)
        root = (second.sqrt() / math.sqrt(1 - _SECOND_RATE ** (step + 1))).add_(_EPSILON)
        now.mul_(1 - rate_L11 * decay_L11)
        now.addcdiv_(first * (rate_L11 / (momentum ** (step + 1) - 1)), root)

    def _schedule(self, step: int) -> float:
        """What the learning rate is multiplied by at a step, 0 to 1."""
        return 1.0 if self.settings["schedule"] == "constant" else (1 + math.cos(math.pi * step / self.steps)) / 2

    @torch.no_grad()
    def _score(self, state: _State, loss_SL: torch.Tensor) -> None:
        """Score every member on val, keep what the settings say, and write both down."""
        tensors = state.tensors
        now = {name[4:]: tensor for name, tensor in tensors.items() if name.startswith("now.")}
        score_SL = self._val_scores(now)
        if self.settings["keep"] == "last":
            better_SL = torch.ones_like(score_SL, dtype=torch.bool)
        else:
            better_SL = (score_SL > tensors["scores"]) | tensors["scores"].isnan()  # NaN: nothing is known yet
        tensors["scores"] = torch.where(better_SL, score_SL, tensors["scores"])
        keep_SL11 = better_SL[:, :, None, None].to(self.device)
        for name, tensor in now.items():
            torch.where(keep_SL11, tensor, tensors[f"kept.{name}"], out=tensors[f"kept.{name}"])
        for name, values_SL in (("train_loss", loss_SL.cpu()), ("val_score", score_SL.float())):
            tensors[name] = torch.cat([tensors[name], values_SL.T[None]])

    def _val_scores(self, now: Parameters) -> torch.Tensor:
        """The score of every member on val, float64 (S, L), a block of images at a time."""
        views, y_N = self.val.views, self.val.y_N
        x_VND = self.x_val_ND.unflatten(0, (views, len(y_N)))  # type: ignore[no-untyped-call]
        weight_N = score_weights(y_N, self.settings["choose_by"])
        members = len(self.settings["seeds"]), len(self.grid)
        block = max(1, _VAL_LOGITS // (math.prod(members) * self.n_classes * views))
        score_SL = torch.zeros(members, dtype=torch.float64, device=self.device)
        for start in range(0, len(y_N), block):
            images = slice(start, start + block)
            x_BD = self._standardized(x_VND[:, images].flatten(0, 1))
            logits_SLBC = self.logits_of(now, x_BD.expand(members[0], -1, -1)).transpose(2, 3)
            score_SL += score_of(average_views(logits_SLBC, views), y_N[images], weight_N[images])
        return comparable(score_SL).cpu()

    @cached_property
    def _key(self) -> str:
        """What a draft must have been made for."""
        facts = {**self.settings, "grid": self.grid, "version": versions.HEADS, "classes": self.n_classes}
        rows = [self.train_rows.x_ND, self.train_rows.y_N, self.val.x_ND, self.val.y_N]
        data = [sha256_bytes(tensor.cpu().contiguous().numpy().tobytes()) for tensor in rows]
        return sha256_bytes(canonical_json([facts, data]).encode())

    def _save(self, state: _State, draft: Path) -> None:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        tensors["epoch"] = torch.tensor(state.epoch)
        write_atomic(draft, save(tensors, metadata={"key": self._key}))

    def _resume(self, draft: Path | None) -> _State | None:
        """The state that a draft holds; None where there is none, or one of another training."""
        if draft is None or not draft.exists():
            return None
        data = draft.read_bytes()
        if f'"{self._key}"'.encode() not in data[:65536]:
            return None
        tensors = load(data)
        epoch = int(tensors.pop("epoch"))
        on_card = {name: tensor.to(self.device) if "." in name else tensor for name, tensor in tensors.items()}
        print(f"goes on after epoch {epoch} of {self.epochs}")
        return _State(epoch, on_card)
