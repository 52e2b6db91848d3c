"""Training of a mask head: every learning rate, weight decay and seed, side by side on the same batches.

Members of one seed see the same batches, which are read once for all of them. Members do not depend on each
other. On a CPU the bytes depend on the number of threads, a setting of the head, by rounding. On a card bilinear steps
add in no fixed order: two trainings differ by rounding, which training enlarges.
"""

import math
import time
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.mask_heads.batches import Batch, batches, in_order, tensors_of, turned
from unchoke.mask_heads.head import TrainedMaskHead
from unchoke.mask_heads.layers import Maps
from unchoke.mask_heads.member import Member, begin
from unchoke.mask_heads.objectives import Objectives, refuse_unlabelled
from unchoke.mask_heads.steps import count, gradients
from unchoke.mask_heads.task import Task
from unchoke.metrics import iou
from unchoke.names import PIXELS
from unchoke.training.choose import choose, grid_of, judge
from unchoke.training.resume import State, StateFile, part_of
from unchoke.training.schedule import rate_factor

_CURVES = ("train_loss", "val_iou")


def train_members(task: Task) -> TrainedMaskHead:
    """Train every member, choose the setting whose mean IoU on val is best over the seeds, keep it with all seeds.

    An interrupted training resumes from its state file. Raises UnchokeError where `augment` is set on cached features,
    a split has no label, or all members diverge.
    """
    started = time.perf_counter()
    _refuse_turned_features(task)
    training = _Training(task.held())
    training.run()
    state, seeds = training.state, len(task.settings["seeds"])
    choice = choose(task.settings, state.tensors["scores"].numpy().reshape(-1, seeds).T, "val_iou")
    return TrainedMaskHead(
        task.settings,
        task.n_classes,
        task.train.channels,
        task.train.strides,
        [member.weights() for member in training.members[choice.place * seeds :][:seeds]],
        choice.chosen,
        choice.history,
        {name: torch.stack(state.curves[name]).numpy() for name in _CURVES},
        state.counters["micro_batch"],
        time.perf_counter() - started,
    )


def _refuse_turned_features(task: Task) -> None:
    if task.settings["augment"] and PIXELS not in task.train.channels:
        raise UnchokeError(
            "Cached features cannot be turned or flipped: those of a turned patch are others.",
            found=f"augment: true with kind {task.settings['kind']}",
            expected="augment: true with kind unet alone, which sees pixels",
            do="set the head's augment to false",
        )


class _Training:
    """All members, with the state of their training."""

    def __init__(self, task: Task) -> None:
        self.task, self.settings, self.objectives = task, task.settings, Objectives(task)
        drawn = product(grid_of(self.settings), self.settings["seeds"])
        self.members = [begin(task, self.objectives, *setting, seed) for setting, seed in drawn]
        counters = {"epoch": 0, "micro_batch": self.settings["batch_size"]}
        self.state = State(counters, {"scores": torch.full((len(self.members),), torch.nan, dtype=torch.float64)})
        self.file = StateFile(task.states, task.key())

    def run(self) -> None:
        """Train all epochs, or the rest after a saved state."""
        self._resume()
        epochs, counters = self.settings["epochs"], self.state.counters
        while counters["epoch"] < epochs:
            self._run_epoch()
            if counters["epoch"] < epochs and self.file.is_due():
                self.file.save(self._snapshot())
            if self.task.progress:
                scores = filter(math.isfinite, self.state.tensors["scores"].tolist())
                self.task.progress(counters["epoch"], epochs, max(scores, default=math.nan))

    def _snapshot(self) -> State:
        """The state with the members' tensors."""
        tensors = dict(self.state.tensors)
        for place, member in enumerate(self.members):
            tensors |= {f"{place}.{name}": tensor for name, tensor in member.tensors().items()}
        return State(self.state.counters, tensors, self.state.curves)

    def _resume(self) -> None:
        saved = self.file.load()
        if saved is None:
            return
        for place, member in enumerate(self.members):
            member.restore(part_of(saved.tensors, str(place)))
        self.state = State(saved.counters, {"scores": saved.tensors["scores"]}, saved.curves)
        print(f"goes on after epoch {saved.counters['epoch']} of {self.settings['epochs']}")

    def _run_epoch(self) -> None:
        """Train all seeds on all batches, then validate."""
        epoch = self.state.counters["epoch"]
        losses = {id(member): torch.zeros((), device=self.task.device) for member in self.members}
        for seed in self.settings["seeds"]:
            self._run_seed(seed, epoch, losses)
        self.state.counters["epoch"] += 1
        loss_M = np.array([float(losses[id(member)]) / self.objectives.batches[epoch] for member in self.members])
        self._validate(loss_M)

    def _run_seed(self, seed: int, epoch: int, losses: dict[int, torch.Tensor]) -> None:
        """Train the members of one seed for an epoch, and add up their losses."""
        own = [member for member in self.members if member.seed == seed]
        turns, all_batches = np.random.default_rng([seed, epoch, 1]), self.objectives.batches
        task, patches, before = self.task, self.objectives.patches(epoch), sum(all_batches[:epoch])
        drawn = batches(patches, self.settings["batch_size"], seed, epoch, task.chunk_size, task.budget_mb)
        for place, batch in enumerate(drawn):
            factor = rate_factor(self.settings["schedule"], before + place, sum(all_batches))
            maps, label = self._on_device(turned(batch, turns) if self.settings["augment"] else batch)
            for member in own:
                losses[id(member)] += self._step(member, maps, label, member.rate * factor)

    def _on_device(self, batch: Batch) -> tuple[Maps, torch.Tensor]:
        return tensors_of(batch.maps, self.task.device), torch.from_numpy(batch.label).to(self.task.device)

    def _step(self, member: Member, maps: Maps, label: torch.Tensor, rate: float) -> torch.Tensor:
        """One step of a member by AdamW (Loshchilov and Hutter 2019); its loss."""
        counters, weight_K = self.state.counters, self.objectives.weight_K
        member.model.train()
        member.optimizer.zero_grad()  # also for parameters that only the objective before used
        module, loss_of = self.objectives.module(member.model, member.projection, counters["epoch"])
        precision = self.settings["precision"]
        loss, counters["micro_batch"] = gradients(
            module, maps, label, loss_of, weight_K, precision, member.scaler, counters["micro_batch"]
        )
        member.optimizer.param_groups[0]["lr"] = rate
        member.scaler.step(member.optimizer)
        member.scaler.update()
        return loss

    def _validate(self, loss_M: NDArray[np.float64]) -> None:
        """Score every member on val, keep its weights as the settings say, and extend the curves."""
        score_M, keep = self._scores(), self.settings["keep"]
        better_M = judge(self.state.tensors, torch.from_numpy(score_M), self.state.counters["epoch"], keep)
        for member, better in zip(self.members, better_M.tolist(), strict=True):
            if keep == "best" and better:
                member.keep()
        values = {"train_loss": loss_M, "val_iou": score_M}
        shape = -1, len(self.settings["seeds"])
        self.state.record(**{name: torch.from_numpy(value_M).float().view(shape) for name, value_M in values.items()})

    def _scores(self) -> NDArray[np.float64]:
        """Mean IoU on val of every member, as ``choose_by`` says; NaN where a logit is not finite."""
        members, classes, counters = self.members, self.task.n_classes, self.state.counters
        counts, finite = np.zeros((len(members), classes, classes), np.int64), np.ones(len(members), bool)
        for batch in in_order(self.task.val, self.task.chunk_size):
            maps, label = self._on_device(batch)
            for place, member in enumerate(members):
                member.model.eval()
                counts_KK, known, counters["micro_batch"] = count(
                    member.model, maps, label, self.settings["precision"], counters["micro_batch"]
                )
                counts[place] += counts_KK.cpu().numpy()
                finite[place] &= known
        refuse_unlabelled(int(counts[0].sum()), "val")
        return np.where(finite, iou.chosen_mean_iou(counts, self.settings["choose_by"]), np.nan)
