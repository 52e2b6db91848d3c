"""Training of a mask head: every learning rate, weight decay and seed, side by side on the same batches.

Members of one seed see the same batches, which are read once for all of them. No member depends on which others there
are. On a CPU the same number of threads, a setting of the head, gives the same bytes, and another number the same up to
rounding; on a card bilinear steps add in no fixed order, so that two trainings agree up to rounding, which training
enlarges.
"""

import math
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_json
from unchoke.heads.rows import best
from unchoke.mask_heads.batches import Batch, Patches, batches, hold, in_order, tensors_of, turned
from unchoke.mask_heads.head import TrainedMaskHead
from unchoke.mask_heads.member import Member, begin
from unchoke.mask_heads.phases import Lessons, refuse_unlabelled
from unchoke.mask_heads.resume import CURVES, State, resume, save_state
from unchoke.mask_heads.steps import count, gradients
from unchoke.metrics import iou
from unchoke.names import PIXELS

DRAFT_EVERY_S = 5.0  # how much work an interruption may cost

Progress = Callable[[int, int, float], None]


def train_mask_head(
    train: Patches,
    val: Patches,
    settings: dict[str, Any],
    n_classes: int,
    device: torch.device,
    *,
    key: str,
    drafts: Path | None = None,
    progress: Progress | None = None,
    chunk_size: int = 16,
    budget_mb: float = 2048,
    taught: Patches | None = None,
) -> TrainedMaskHead:
    """Train every member, choose the setting whose mean IoU on val is best over the seeds, keep it with all seeds.

    settings: a mask head of the config. key: says which data these are. drafts: folder in which the state is kept at
    the end of epochs, from which an interrupted training goes on; with the same key and settings alone. progress: is
    told the epochs done, those there are, and the best score so far. chunk_size: patches that lie together.
    budget_mb: memory for patches, the same for train, val and taught; what fits is read once. taught: the patches that
    a teacher has seen, with what it said, where the settings distil; see ``mask_heads.distil``.
    Raises UnchokeError where cached features shall be turned, a split has no label, or all members diverge.
    """
    started = time.perf_counter()
    _refuse_turned_features(train, settings)
    given = [patches for patches in (train, val, taught) if patches is not None]
    share_mb = budget_mb / len(given)
    held = [hold(patches, share_mb) for patches in given]
    lessons = Lessons(held[0], held[2] if taught is not None else None, settings, n_classes, chunk_size, device)
    training = _Training(lessons, held[1], n_classes, device, key, chunk_size, share_mb)
    state = training.run(drafts / "state.safetensors" if drafts else None, progress)
    scores_LS = np.array([member.score for member in state.members]).reshape(training.shape)
    mean_L = np.where(np.isfinite(scores_LS).all(1), scores_LS.mean(1), np.nan)
    place = best(mean_L.tolist(), settings["kind"])
    rates, decays = zip(*training.grid, strict=True)
    seeds = len(settings["seeds"])
    return TrainedMaskHead(
        settings,
        n_classes,
        train.channels,
        train.strides,
        [member.weights() for member in state.members[place * seeds : (place + 1) * seeds]],
        {"learning_rate": rates[place], "weight_decay": decays[place]},
        {"learning_rate": list(rates), "weight_decay": list(decays), "val_iou": mean_L.tolist()},
        {name: np.stack(state.curves[name]) for name in CURVES},
        state.micro_batch,
        time.perf_counter() - started,
    )


def _refuse_turned_features(train: Patches, settings: dict[str, Any]) -> None:
    if settings["augment"] and PIXELS not in train.channels:
        raise UnchokeError(
            "Cached features cannot be turned or flipped: those of a turned patch are others.",
            found=f"augment: true with kind {settings['kind']}",
            expected="augment: true with kind unet alone, which sees pixels",
            do="set the head's augment to false",
        )


class _Training:
    """What does not change while the members are trained."""

    def __init__(
        self,
        lessons: Lessons,
        val: Patches,
        n_classes: int,
        device: torch.device,
        key: str,
        chunk_size: int,
        budget_mb: float,
    ) -> None:
        self.lessons, self.val, self.n_classes, self.device = lessons, val, n_classes, device
        settings, train = lessons.settings, lessons.train
        self.settings, self.train = settings, train
        self.chunk_size, self.budget_mb = chunk_size, budget_mb
        self.grid = list(product(settings["learning_rates"], settings["weight_decays"]))
        self.shape = len(self.grid), len(settings["seeds"])
        facts = [key, versions.MASK_HEADS, settings, train.channels, train.strides, n_classes, len(train), len(val)]
        taught = [] if lessons.taught is None else [len(lessons.taught)]
        self.key = sha256_json([*facts, chunk_size, budget_mb, *taught])

    def run(self, draft: Path | None, progress: Progress | None) -> State:
        """All epochs, or those that a draft leaves."""
        state, saved = self._begin(draft), time.monotonic()
        while state.epoch < self.settings["epochs"]:
            self._run_epoch(state)
            if draft and state.epoch < self.settings["epochs"] and time.monotonic() - saved > DRAFT_EVERY_S:
                save_state(state, draft, self.key)
                saved = time.monotonic()
            if progress:
                scores = [member.score for member in state.members if math.isfinite(member.score)]
                progress(state.epoch, self.settings["epochs"], max(scores, default=math.nan))
        return state

    def _begin(self, draft: Path | None) -> State:
        members = [
            begin(
                self.train.channels,
                self.train.strides,
                self.n_classes,
                self.settings,
                (*setting, seed),
                self.lessons.moments,
                self.device,
                self.lessons.teacher_channels,
            )
            for setting, seed in product(self.grid, self.settings["seeds"])
        ]
        state = State(0, self.settings["batch_size"], members, {name: [] for name in CURVES})
        if draft and draft.exists() and resume(state, draft, self.key):
            print(f"goes on after epoch {state.epoch} of {self.settings['epochs']}")
        return state

    def _run_epoch(self, state: State) -> None:
        """All batches of all seeds, then val."""
        losses = {id(member): torch.zeros((), device=self.device) for member in state.members}
        for seed in self.settings["seeds"]:
            own = [member for member in state.members if member.seed == seed]
            turns = np.random.default_rng([seed, state.epoch, 1])
            patches, before = self.lessons.patches(state.epoch), sum(self.lessons.batches[: state.epoch])
            drawn = batches(patches, self.settings["batch_size"], seed, state.epoch, self.chunk_size, self.budget_mb)
            for place, batch in enumerate(drawn):
                schedule = self._schedule(before + place)
                maps, label = self._on_device(turned(batch, turns) if self.settings["augment"] else batch)
                for member in own:
                    losses[id(member)] += self._step(state, member, maps, label, member.rate * schedule)
        state.epoch += 1
        self._score(state)
        steps = self.lessons.batches[state.epoch - 1]
        loss_LS = np.array([float(losses[id(member)]) / steps for member in state.members])
        state.curves["train_loss"].append(loss_LS.reshape(self.shape).astype(np.float32))

    def _on_device(self, batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        return tensors_of(batch.maps, self.device), torch.from_numpy(batch.label).to(self.device)

    def _step(
        self, state: State, member: Member, maps: dict[str, torch.Tensor], label: torch.Tensor, rate: float
    ) -> torch.Tensor:
        """One step of a member by AdamW (Loshchilov and Hutter 2019); its loss."""
        member.model.train()
        member.optimizer.zero_grad()  # also of what the last phase alone has used
        (module, loss_of), weight_K = self.lessons.module(member, state.epoch), self.lessons.weight_K
        precision = self.settings["precision"]
        loss, state.micro_batch = gradients(
            module, maps, label, loss_of, weight_K, precision, member.scaler, state.micro_batch
        )
        member.optimizer.param_groups[0]["lr"] = rate
        member.scaler.step(member.optimizer)
        member.scaler.update()
        return loss

    def _schedule(self, step: int) -> float:
        """What the learning rate is multiplied by at a step, 0 to 1."""
        if self.settings["schedule"] == "constant":
            return 1.0
        return (1 + math.cos(math.pi * step / sum(self.lessons.batches))) / 2

    def _score(self, state: State) -> None:
        """Mean IoU on val of every member, as ``choose_by`` says; NaN where a logit is not finite."""
        counts = np.zeros((len(state.members), self.n_classes, self.n_classes), np.int64)
        finite = np.ones(len(state.members), bool)
        for batch in in_order(self.val, self.chunk_size):
            maps, label = self._on_device(batch)
            for place, member in enumerate(state.members):
                member.model.eval()
                counts_KK, known, state.micro_batch = count(
                    member.model, maps, label, self.settings["precision"], state.micro_batch
                )
                counts[place] += counts_KK.cpu().numpy()
                finite[place] &= known
        refuse_unlabelled(int(counts[0].sum()), "val")
        scores = np.where(finite, iou.chosen_mean_iou(counts, self.settings["choose_by"]), np.nan)
        for member, score in zip(state.members, scores, strict=True):
            member.judge(float(score), self.settings["keep"])
        state.curves["val_iou"].append(scores.reshape(self.shape).astype(np.float32))
