"""Training of all members of an ablation at once: every learning rate and weight decay, with every seed.

A member is one setting (learning rate, weight decay) with one seed. A parameter of all members is one tensor
(S, L, out, in) for S seeds and L settings. Members of one seed start from the same weights and see the same batches, so
one product of a seed's batch with the weights of all its settings does the work of L. On a card the products of all
seeds are one batched call. On processors every thread trains some of the seeds by itself: no thread waits for another,
and the bits do not depend on their number.
"""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import load, save

from unchoke import versions
from unchoke.files import write_atomic
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.heads.products import single_products
from unchoke.heads.rows import (
    SUMS,
    Rows,
    average_views,
    best,
    class_weights,
    comparable,
    moments,
    score,
    score_of,
    score_weights,
)
from unchoke.heads.train import Fitted

_T = TypeVar("_T")
Parameters = dict[str, torch.Tensor]
First = Callable[[torch.Generator, int, int, dict[str, Any]], Parameters]
Forward = Callable[[Parameters, torch.Tensor], tuple[torch.Tensor, ...]]
AddGradients = Callable[[Parameters, torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor, Parameters, float], None]

_CURVES = ("train_loss", "val_score")
DRAFT_EVERY_S = 5.0  # how much work an interruption may cost
_SECOND_RATE, _EPSILON = 0.999, 1e-8  # AdamW's, torch's defaults
_VAL_LOGITS = 2**23  # of val at once: members × images × views × classes, 32 MB
_PREPARED = 2**29  # most features that are standardised ahead: 2 GB of float32
_MOST_PARAMETERS = 2**26  # of all members that train at once: 256 MB of float32, four times over
_GROUPS = 4  # at least, of few seeds on processors


@dataclass(frozen=True)
class Kind:
    """What tells one kind of member from another."""

    first: First
    """Parameters of one seed, each (in, out)."""
    forward: Forward
    """What every layer gives, the logits (S, L, C, B) last, from parameters and rows (S, B, D)."""
    add_gradients: AddGradients
    """From the same, what the layers gave, and the gradient of the loss by the logits: let each of some tensors be beta
    times what it is, plus the gradient by the parameter of its name."""


def add_product(into: torch.Tensor, left: torch.Tensor, right: torch.Tensor, beta: float) -> None:
    """Let `into` (N, a, c) be beta × `into` + `left` (N, a, b) @ `right` (N, b, c), in one pass over it."""
    if left.dtype == right.dtype == into.dtype and not torch.is_autocast_enabled(into.device.type):
        torch.baddbmm(into, left, right, beta=beta, out=into)
    else:
        _add(into, torch.bmm(left, right), beta)


def add_sum(into: torch.Tensor, slope_SLCB: torch.Tensor, beta: float) -> None:
    """Let `into` (S, L, C, 1) be beta × `into` + the sum over rows."""
    _add(into, slope_SLCB.sum(3, keepdim=True), beta)


def _add(into: torch.Tensor, more: torch.Tensor, beta: float) -> None:
    if beta:
        into.mul_(beta).add_(more)
    else:
        into.copy_(more)


@dataclass
class _State:
    """Where the training of a group of members stands."""

    epoch: int
    """Validations so far; they come after every pass over the data, or after `validate_every` steps."""
    tensors: Parameters
    """`now.*` the parameters, `first.*` and `second.*` their moments, `kept.*` those that are kept, with `scores`
    (S, L), and the curves so far, `train_loss` and `val_score` (epochs, L, S). With `patience` also the best score,
    the step that it was seen after, and whether training has ended: `best`, `best_step` and `ended` (S, L)."""

    def part(self, part: str) -> Parameters:
        """The tensors of one part, by the names of the parameters."""
        return {name.partition(".")[2]: tensor for name, tensor in self.tensors.items() if name.startswith(f"{part}.")}


def train_members(
    kind: Kind,
    train: Rows,
    val: Rows,
    n_classes: int,
    settings: dict[str, Any],
    device: torch.device,
    drafts: Path | None,
) -> Fitted:
    """Train every member, choose the setting whose mean score over the seeds is best on val, keep it with all seeds.

    drafts: folder in which the state is kept at the end of epochs, from which an interrupted training goes on.
    """
    task = _Task(kind, train, val, n_classes, settings, device)
    grid = list(product(settings["learning_rates"], settings["weight_decays"]))
    with _threads(device) as threads, ThreadPoolExecutor(threads) as pool:
        seed_parts, grid_parts = _parts(settings["seeds"], grid, task.member_size, device, threads)
        places = list(product(seed_parts, grid_parts))
        files = [drafts / _draft_name(*place) if drafts else None for place in places]
        groups = [_Group(task, *place, file) for place, file in zip(places, files, strict=True)]
        more = [group is not groups[-1] for group in groups]
        try:
            trained = list(pool.map(_Group.train, groups, more))
        except BaseException:
            task.stopped.set()  # the other groups end with their epoch
            raise
    joined = _joined(trained, len(grid_parts))
    scores_SL = joined["scores"].numpy()
    mean_L = np.where(np.isfinite(scores_SL).all(0), scores_SL.mean(0), np.nan)
    place = best(mean_L.tolist(), settings["kind"])
    kept = {name.removeprefix("kept."): tensor for name, tensor in joined.items() if name.startswith("kept.")}
    replicates = [
        {"mean": task.mean_D, "scale": task.scale_D}
        | {name: tensor[seed, place].T.contiguous() for name, tensor in kept.items()}
        for seed in range(len(settings["seeds"]))
    ]
    rates, decays = zip(*grid, strict=True)
    history = {"learning_rate": list(rates), "weight_decay": list(decays), "val_score": mean_L.tolist()}
    chosen = {"learning_rate": rates[place], "weight_decay": decays[place]}
    return Fitted(replicates, chosen, history, {name: joined[name].numpy() for name in _CURVES})


def _threads(device: torch.device) -> AbstractContextManager[int]:
    """How many groups may train at once; on processors each has one."""
    return single_products() if device.type == "cpu" else nullcontext(1)


def _parts(
    seeds: list[int], grid: list[tuple[float, float]], member_size: int, device: torch.device, threads: int
) -> tuple[list[list[int]], list[list[tuple[float, float]]]]:
    """The seeds and the settings of the groups: every part of the seeds is trained with every part of the settings.

    How the seeds are parted changes no bit, for each has a product of its own; how the settings are parted may change
    the last ones, and does not depend on the number of threads.
    """
    together = max(1, _MOST_PARAMETERS // (member_size * len(seeds)))
    least = math.ceil(_GROUPS / len(seeds)) if device.type == "cpu" else 1
    n_settings = min(len(grid), max(least, math.ceil(len(grid) / together)))
    return _split(seeds, min(threads, len(seeds))), _split(grid, n_settings)


def _draft_name(seeds: list[int], grid: list[tuple[float, float]]) -> str:
    return sha256_bytes(canonical_json([seeds, grid]).encode())[:16] + ".safetensors"


def _split(whole: list[_T], parts: int) -> list[list[_T]]:
    """Parts of nearly the same length, in their order, the longer ones first."""
    bounds = np.cumsum([0, *(len(whole[part::parts]) for part in range(parts))]).tolist()
    return [whole[start:stop] for start, stop in pairwise(bounds)]


def _joined(trained: list[Parameters], parts: int) -> Parameters:
    """The tensors of all groups as those of one, from `parts` groups of settings for each part of the seeds."""
    joined = {}
    epochs = max(len(group[name]) for group in trained for name in _CURVES)
    for group in trained:
        for name in _CURVES:  # a group whose members have all ended early has none of the later values
            missing = group[name].new_full((epochs - len(group[name]), *group[name].shape[1:]), torch.nan)
            group[name] = torch.cat([group[name], missing])
    for name in trained[0]:
        of_seeds = [
            torch.cat([group[name] for group in trained[start : start + parts]], 1)
            for start in range(0, len(trained), parts)
        ]
        joined[name] = torch.cat(of_seeds, 2 if name in _CURVES else 0)
    return joined


class _Task:
    """What all members are trained on, and how."""

    def __init__(
        self,
        kind: Kind,
        train: Rows,
        val: Rows,
        n_classes: int,
        settings: dict[str, Any],
        device: torch.device,
    ) -> None:
        self.kind, self.settings, self.device = kind, settings, device
        self.train, self.val, self.n_classes = train, val, n_classes
        self.y_N = train.labels()
        self.mean_D, self.scale_D = moments(train.x_ND, settings["standardize"])
        self.x_ND, self.x_val_ND, self.prepared = train.x_ND, val.x_ND, False
        if train.x_ND.numel() + val.x_ND.numel() <= _PREPARED:
            self.x_ND, self.x_val_ND = self.standardized(train.x_ND), self.standardized(val.x_ND)
            self.prepared = True
        self.weight_C = class_weights(self.y_N, n_classes, settings["class_weights"])
        self.weight_N = self.weight_C[self.y_N]
        self.batches = math.ceil(len(self.y_N) / settings["batch_size"])
        self.steps = settings["steps"] or settings["epochs"] * self.batches
        self.every = settings["validate_every"] or self.batches
        self.epochs = math.ceil(self.steps / self.every)
        self.stopped = threading.Event()

    def standardized(self, x_ND: torch.Tensor) -> torch.Tensor:
        """Rows as the members see them, float32; they may have been prepared at the start."""
        if self.prepared:
            return x_ND
        x_ND = x_ND.float()
        return (x_ND - self.mean_D).div_(self.scale_D) if self.settings["standardize"] else x_ND

    def first_parameters(self, seed: int) -> Parameters:
        width = self.train.x_ND.shape[1]
        return self.kind.first(torch.Generator().manual_seed(seed), width, self.n_classes, self.settings)

    @property
    def member_size(self) -> int:
        """Parameters of a member."""
        return sum(tensor.numel() for tensor in self.first_parameters(0).values())

    @cached_property
    def key(self) -> str:
        """What drafts must have been made for, beside seeds and grid."""
        facts = {**self.settings, "version": versions.HEADS, "classes": self.n_classes}
        rows = [self.train.x_ND, self.train.y_N, self.val.x_ND, self.val.y_N]
        data = [sha256_bytes(tensor.cpu().contiguous().numpy().tobytes()) for tensor in rows]
        return sha256_bytes(canonical_json([facts, data]).encode())


class _Group:
    """Members that train at once: some seeds, each with some settings."""

    def __init__(self, task: _Task, seeds: list[int], grid: list[tuple[float, float]], draft: Path | None) -> None:
        self.task, self.settings, self.device = task, task.settings, task.device
        self.seeds, self.grid, self.draft = seeds, grid, draft
        self.key = sha256_bytes(canonical_json([task.key, seeds, grid]).encode()) if draft else ""
        self.rate_L, self.decay_L = (torch.tensor(column, device=self.device) for column in zip(*grid, strict=True))
        self.decays = any(decay for _, decay in grid)
        self.batch_ND = torch.empty(0, device=self.device)
        self.gradients: Parameters = {}

    def train(self, more: bool) -> Parameters:
        """Tensors of the finished training: kept parameters, scores and curves; `more`: other groups will follow."""
        state, saved = self._resume() or self._begin(), time.monotonic()
        while not self._is_done(state) and not self.task.stopped.is_set():
            self._run_epoch(state)
            done = self._is_done(state)
            if self.draft and (more if done else time.monotonic() - saved > DRAFT_EVERY_S):
                self._save(state, self.draft)
                saved = time.monotonic()
        wanted = {
            name: tensor
            for name, tensor in state.tensors.items()
            if name.startswith("kept.") or name in ("scores", *_CURVES)
        }
        return {name: tensor.cpu() for name, tensor in wanted.items()}

    def _is_done(self, state: _State) -> bool:
        return state.epoch >= self.task.epochs or bool(self._ended(state.tensors).all())

    def _begin(self) -> _State:
        drawn = [self.task.first_parameters(seed) for seed in self.seeds]
        tensors: Parameters = {}
        for name in drawn[0]:
            one_S = torch.stack([parameters[name] for parameters in drawn]).to(self.device)
            now = one_S.transpose(1, 2)[:, None].repeat(1, len(self.grid), 1, 1)
            tensors |= {f"now.{name}": now, f"first.{name}": torch.zeros_like(now), f"kept.{name}": now.clone()}
            if self.settings["optimizer"] == "adamw":
                tensors[f"second.{name}"] = torch.zeros_like(now)
        members = (len(self.seeds), len(self.grid))
        tensors["scores"] = torch.full(members, torch.nan, dtype=torch.float64)
        tensors |= {name: torch.zeros(0, *members[::-1]) for name in _CURVES}
        return _State(0, tensors)

    def _run_epoch(self, state: _State) -> None:
        """All batches up to the next validation, and the validation."""
        task, size = self.task, self.settings["batch_size"]
        begun = state.epoch * task.every
        steps = range(begun, min(begun + task.every, task.steps))
        loss_SL = torch.zeros(len(self.seeds), len(self.grid), device=self.device)
        order_SN = self._order(begun // task.batches)
        for step in steps:
            pass_over_data, batch = divmod(step, task.batches)
            if not batch and step > begun:
                order_SN = self._order(pass_over_data)
            loss_SL += self._step(state, step, order_SN[:, batch * size : (batch + 1) * size])
        state.epoch += 1
        self._score(state, loss_SL / len(steps), steps.stop)

    def _order(self, pass_over_data: int) -> torch.Tensor:
        """The rows in the order of each seed, int64 (S, N)."""
        orders = [np.random.default_rng([seed, pass_over_data]).permutation(len(self.task.y_N)) for seed in self.seeds]
        return torch.from_numpy(np.stack(orders)).to(self.device)

    @torch.no_grad()
    def _step(self, state: _State, step: int, place_SB: torch.Tensor) -> torch.Tensor:
        """One step of every member; the losses (S, L)."""
        x_SBD = self._batch(place_SB)
        now, first = state.part("now"), state.part("first")
        adds_up = self.settings["optimizer"] == "sgd" and not self.decays  # the momentum takes the gradient in directly
        if not adds_up and not self.gradients:
            self.gradients = {name: torch.empty_like(tensor) for name, tensor in now.items()}
        into, beta = (first, self.settings["momentum"]) if adds_up else (self.gradients, 0.0)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings["precision"] == "bfloat16"):
            layers = self.task.kind.forward(now, x_SBD)
            loss_SL, slope_SLCB = self._losses(layers[-1].float(), place_SB)
            self.task.kind.add_gradients(now, x_SBD, layers, slope_SLCB.to(layers[-1].dtype), into, beta)
        for name in now:
            self._update(state.tensors, name, None if adds_up else into[name], step)
        return loss_SL

    def _batch(self, place_SB: torch.Tensor) -> torch.Tensor:
        """The rows of a batch (S, B, D), in memory that the next batch overwrites."""
        place_N, x_ND = place_SB.flatten(), self.task.x_ND
        if not self.task.prepared:
            return self.task.standardized(x_ND.index_select(0, place_N)).view(*place_SB.shape, -1)
        if len(self.batch_ND) < len(place_N):
            self.batch_ND = torch.empty((len(place_N), x_ND.shape[1]), device=self.device)
        batch_ND = self.batch_ND[: len(place_N)]
        torch.index_select(x_ND, 0, place_N, out=batch_ND)
        return batch_ND.view(*place_SB.shape, -1)

    def _losses(self, logits_SLCB: torch.Tensor, place_SB: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy of each member (S, L), with class weights and label smoothing as torch's CrossEntropyLoss has
        them, and its gradient by the logits.

        The loss is -Σ t log p, the gradient p Σ t - t, for targets t that weigh the label, and a little all classes.
        """
        share, weight_C = self.settings["label_smoothing"], self.task.weight_C
        weight_S1B = self.task.weight_N[place_SB][:, None]
        label_SL1B = self.task.y_N[place_SB][:, None, None].expand(-1, logits_SLCB.shape[1], 1, -1)
        total_S11 = weight_S1B.sum(2, keepdim=True)
        target_S1B = weight_S1B * (1 - share) / total_S11
        log_SLCB = torch.log_softmax(logits_SLCB, 2)
        loss_SL = -(log_SLCB.gather(2, label_SL1B)[:, :, 0] * target_S1B).sum(2)
        sum_S1B = target_S1B
        if share:
            all_S1C1 = (weight_C[:, None] * share / len(weight_C)) / total_S11[..., None]
            loss_SL -= (log_SLCB * all_S1C1).sum((2, 3))
            sum_S1B = target_S1B + all_S1C1.sum(2)
        slope_SLCB = log_SLCB.exp_().mul_(sum_S1B[:, :, None])
        if share:
            slope_SLCB -= all_S1C1
        return loss_SL, slope_SLCB.scatter_add_(2, label_SL1B, -target_S1B[:, :, None].expand_as(label_SL1B))

    def _update(self, tensors: Parameters, name: str, gradient: torch.Tensor | None, step: int) -> None:
        """SGD with momentum, or AdamW (Loshchilov and Hutter 2019), as torch.optim has them; a rate a setting.

        gradient: None where the momentum has taken it in.
        """
        now, first, momentum = tensors[f"now.{name}"], tensors[f"first.{name}"], self.settings["momentum"]
        rate_L11 = self.rate_L[:, None, None] * self._schedule(step)
        decay_L11 = self.decay_L[:, None, None]
        if self.settings["optimizer"] == "sgd":
            if gradient is not None:
                first.mul_(momentum).add_(gradient.addcmul_(decay_L11, now))
            now.addcmul_(rate_L11, first, value=-1)
            return
        assert gradient is not None
        second = tensors[f"second.{name}"]
        first.lerp_(gradient, 1 - momentum)
        second.mul_(_SECOND_RATE).addcmul_(gradient, gradient, value=1 - _SECOND_RATE)
        root = (second.sqrt() / math.sqrt(1 - _SECOND_RATE ** (step + 1))).add_(_EPSILON)
        now.mul_(1 - rate_L11 * decay_L11)
        now.addcdiv_(first * (rate_L11 / (momentum ** (step + 1) - 1)), root)

    def _schedule(self, step: int) -> float:
        """What the learning rate is multiplied by at a step, 0 to 1."""
        return 1.0 if self.settings["schedule"] == "constant" else (1 + math.cos(math.pi * step / self.task.steps)) / 2

    @torch.no_grad()
    def _score(self, state: _State, loss_SL: torch.Tensor, step: int) -> None:
        """Score every member on val, keep what the settings say, and write both down; step: steps so far."""
        tensors = state.tensors
        now = state.part("now")
        score_SL = self._val_scores(now)
        if self.settings["keep"] == "last":
            better_SL = torch.ones_like(score_SL, dtype=torch.bool)
        else:
            better_SL = (score_SL > tensors["scores"]) | tensors["scores"].isnan()  # NaN: nothing is known yet
        ended_SL = self._ended(tensors)
        better_SL &= ~ended_SL
        self._note_best(tensors, score_SL, step, ended_SL)
        tensors["scores"] = torch.where(better_SL, score_SL, tensors["scores"])
        keep_SL11 = better_SL[:, :, None, None].to(self.device)
        for name, tensor in now.items():
            torch.where(keep_SL11, tensor, tensors[f"kept.{name}"], out=tensors[f"kept.{name}"])
        for name, values_SL in (("train_loss", loss_SL.cpu()), ("val_score", score_SL.float())):
            known_SL = torch.where(ended_SL, torch.nan, values_SL)
            tensors[name] = torch.cat([tensors[name], known_SL.T[None]])

    def _ended(self, tensors: Parameters) -> torch.Tensor:
        """Members whose training has ended for want of a better score, bool (S, L); their results stay as they are."""
        return tensors["ended"] if "ended" in tensors else torch.zeros_like(tensors["scores"], dtype=torch.bool)

    def _note_best(self, tensors: Parameters, score_SL: torch.Tensor, step: int, ended_SL: torch.Tensor) -> None:
        """Count the steps since the best score, as Lightning's EarlyStopping counts validations, with min_delta 0."""
        patience = self.settings["patience"]
        if patience is None:
            return
        best_SL = tensors.get("best", torch.full_like(score_SL, -torch.inf))
        since_SL = tensors.get("best_step", torch.zeros_like(score_SL, dtype=torch.int64))
        better_SL = score_SL > best_SL
        tensors["best"] = torch.where(better_SL, score_SL, best_SL)
        tensors["best_step"] = torch.where(better_SL, step, since_SL)
        tensors["ended"] = ended_SL | (step - tensors["best_step"] >= patience)

    def _val_scores(self, now: Parameters) -> torch.Tensor:
        """The score of every member on val, float64 (S, L), a block of images at a time where scores are sums."""
        if self.settings["choose_by"] not in SUMS:
            return self._whole_scores(now)
        task, views, y_N = self.task, self.task.val.views, self.task.val.y_N
        x_VND = task.x_val_ND.unflatten(0, (views, len(y_N)))  # type: ignore[no-untyped-call]
        weight_N = score_weights(y_N, self.settings["choose_by"])
        members = len(self.seeds), len(self.grid)
        block = max(1, _VAL_LOGITS // (math.prod(members) * task.n_classes * views))
        score_SL = torch.zeros(members, dtype=torch.float64, device=self.device)
        for start in range(0, len(y_N), block):
            images = slice(start, start + block)
            x_BD = task.standardized(x_VND[:, images].flatten(0, 1))
            logits_SLBC = task.kind.forward(now, x_BD.expand(members[0], -1, -1))[-1].transpose(2, 3)
            score_SL += score_of(average_views(logits_SLBC, views), y_N[images], weight_N[images])
        return comparable(score_SL).cpu()

    def _whole_scores(self, now: Parameters) -> torch.Tensor:
        """As ``_val_scores``, of figures that need the logits of all images: of one member at a time."""
        task, seeds, settings = self.task, range(len(self.seeds)), range(len(self.grid))
        block = max(1, _VAL_LOGITS // task.n_classes)
        score_SL = torch.empty(len(seeds), len(settings), dtype=torch.float64)
        for seed, setting in product(seeds, settings):
            own = {name: tensor[seed : seed + 1, setting : setting + 1] for name, tensor in now.items()}
            parts = [
                task.kind.forward(own, task.standardized(rows_BD)[None])[-1][0, 0].T
                for rows_BD in torch.split(task.x_val_ND, block)
            ]
            score_SL[seed, setting] = score(torch.cat(parts), task.val, self.settings["choose_by"])
        return score_SL

    def _save(self, state: _State, draft: Path) -> None:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        tensors["epoch"] = torch.tensor(state.epoch)
        write_atomic(draft, save(tensors, metadata={"key": self.key}))

    def _resume(self) -> _State | None:
        """The state that the draft holds; None where there is none, or one of another training."""
        if self.draft is None or not self.draft.exists():
            return None
        data = self.draft.read_bytes()
        if f'"{self.key}"'.encode() not in data[:65536]:
            return None
        tensors = load(data)
        epoch = int(tensors.pop("epoch"))
        on_card = {name: tensor.to(self.device) if "." in name else tensor for name, tensor in tensors.items()}
        print(f"goes on after epoch {epoch} of {self.task.epochs}")
        return _State(epoch, on_card)
