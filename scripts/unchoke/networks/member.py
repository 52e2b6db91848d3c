"""Training of a member: a network with one learning rate, weight decay and seed.

Its state is saved every 30 s, also inside an epoch. A training that was killed goes on from there and ends, on a CPU
with as many threads, in the same bytes.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.machine.memory import meter_of
from unchoke.networks.augment import augment, mixed_pairs
from unchoke.networks.cards import Cards
from unchoke.networks.gauge import Gauge
from unchoke.networks.images import BY_BATCH, Images, drawn_views
from unchoke.networks.layers import batch_norms
from unchoke.networks.losses import Targets
from unchoke.networks.predict import logits_of, score_of
from unchoke.networks.replay import refuse_not_finite
from unchoke.networks.step import Batch, gradients, make_learner, update
from unchoke.networks.step_log import StepLog, StepRow
from unchoke.networks.task import NetworkTask
from unchoke.training.batches import Arrays, random_batches
from unchoke.training.choose import judge
from unchoke.training.moments import optimizer_tensors, restore_optimizer
from unchoke.training.resume import State, StateFile, Tensors, part_of
from unchoke.training.schedule import rate_factor

SAVE_EVERY_S = 30.0
"""The work that a kill may cost, s."""


@dataclass(frozen=True)
class Member:
    """A network after its training."""

    tensors: Tensors
    """Parameters and buffers of the trained part, by the model's own names, on the CPU."""
    curves: dict[str, NDArray[np.float32]]
    """``train_loss`` and ``val_score`` of each epoch; of scores the higher is better."""
    score: float
    """On val, of these weights."""
    facts: dict[str, Any]
    """Plain data: micro_batch (the smallest), batch_norm, parameters, steps."""


def train_member(
    task: NetworkTask,
    rate: float,
    decay: float,
    seed: int,
    micro_batch: int,
    states: Path | None = None,
    watch: StepLog | None = None,
    cards: Cards | None = None,
) -> Member:
    """Train one member; one that was interrupted goes on from its state file below `states`.

    watch: takes the rows of all steps. cards: processes that share each step, all of which call this; the first alone
    writes. Raises UnchokeError where the loss is not finite, after keeping the batch, or
    where memory does not hold a single image.
    """
    cards = cards or Cards()
    watch = (watch if cards.rank == 0 else None) or StepLog(None, task.steps, task.settings["epochs"])
    with _determinism(task.settings["deterministic"] and task.device.type == "cuda"):
        training = _Training(task.held(), rate, decay, seed, micro_batch, states, watch, cards)
        try:
            return training.run()
        finally:
            watch.close()


@contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    """Only algorithms of torch whose results do not change from run to run."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


class _Training:
    """A learner, with the state of its training."""

    def __init__(
        self,
        task: NetworkTask,
        rate: float,
        decay: float,
        seed: int,
        micro_batch: int,
        states: Path | None,
        watch: StepLog,
        cards: Cards,
    ) -> None:
        self.task, self.settings, self.rate, self.seed, self.watch = task, task.settings, rate, seed, watch
        self.learner = make_learner(
            task.build(seed), task.settings, task.device, task.class_weights(), decay, seed, cards
        )
        counters = {"epoch": 0, "place": 0, "step": 0, "micro_batch": micro_batch, "smallest": micro_batch, "tight": 0}
        nothing = {"loss_sum": torch.zeros((), dtype=torch.float64)}
        self.state = State(counters, {"scores": torch.tensor(torch.nan, dtype=torch.float64), **nothing})
        self.kept: Tensors = {}
        self.file = StateFile(states, task.key(rate, decay, seed, micro_batch), SAVE_EVERY_S)
        self.gauge, self.since = Gauge(meter_of(task.device), task.device), time.perf_counter()

    def run(self) -> Member:
        """Train all epochs, or the rest after a saved state."""
        self._resume()
        counters = self.state.counters
        self.watch.begin(counters["step"])
        while counters["epoch"] < self.settings["epochs"]:
            row = self._run_epoch()
            self._validate(row)
        weights = self.kept or self._weights()
        return Member(
            {name: own_copy(tensor) for name, tensor in weights.items()},
            {name: torch.stack(values).numpy() for name, values in self.state.curves.items()},
            float(self.state.tensors["scores"]),
            self._facts(),
        )

    def _weights(self) -> Tensors:
        """The weights of now that count: their mean over the steps where the settings ask for it."""
        learner = self.learner
        return learner.average.tensors if learner.average else learner.network.trained.state_dict()

    def _facts(self) -> dict[str, Any]:
        network = self.learner.network
        norm = "none" if not batch_norms(network.trained) else "frozen" if network.frozen_norm else "trained"
        counted = sum(part.numel() for part in network.trained.parameters() if part.requires_grad)
        counters = self.state.counters
        return {
            "micro_batch": counters["smallest"],
            "batch_norm": norm,
            "parameters": counted,
            "steps": counters["step"],
        }

    def _run_epoch(self) -> StepRow | None:
        """Take the steps of an epoch that are left; the last one's row."""
        counters, row = self.state.counters, None
        self.since = time.perf_counter()
        for batch in self._batches():
            row = self._step(batch)
            counters["place"] += 1
            counters["step"] += 1
            self.watch.step(row)
            if self.learner.cards.rank == 0 and self.file.is_due():
                self.file.save(self._snapshot())
        return row

    def _batches(self) -> Iterator[Batch]:
        """The batches of an epoch from the place where we are."""
        task, epoch, settings = self.task, self.state.counters["epoch"], self.settings
        # Held images are taken by the batch: a copy of all of them would take their memory twice.
        read = places if isinstance(task.train, BY_BATCH) else partial(read_images, task.train, self.seed, epoch)
        rng, rows = order_of(self.seed, epoch), len(task.train.image_id_N)
        first, size = self.state.counters["place"], settings["batch_size"]
        for arrays in random_batches(read, rows, size, rng, task.chunk_size, task.budget_mb, first):
            yield batch_of(task, arrays, self.seed, epoch, self.state.counters["step"])

    def _step(self, batch: Batch) -> StepRow:
        """One step, and what it cost from the end of the one before: reading and augmentation count."""
        counters, settings = self.state.counters, self.settings
        step, micro_batch = counters["step"], counters["micro_batch"]
        factor = rate_factor(settings["schedule"], step, self.task.steps, settings["warm_up"])
        total, micro_batch = gradients(self.learner, batch, step, micro_batch)
        loss, epoch, rate = float(total), counters["epoch"], self.rate * factor
        if not np.isfinite(loss):
            path = self.file.path.with_suffix(".replay.safetensors") if self.file.path else None
            refuse_not_finite(self.learner, batch, path, loss, step=step, epoch=epoch, rate=rate, size=micro_batch)
        update(self.learner, step, rate)
        self.state.tensors["loss_sum"] += loss
        counters["smallest"] = min(counters["smallest"], micro_batch)
        now, retries = time.perf_counter(), self.gauge.retries()
        seconds, self.since = now - self.since, now
        self._loosen(micro_batch, retries)
        rows = len(batch.x)
        return StepRow(step, epoch, loss, rate, seconds, rows / seconds, micro_batch, self.gauge.peak_mb(), retries)

    def _loosen(self, micro_batch: int, retries: int) -> None:
        """Halve the micro-batch behind two steps in a row in which the allocator had to try again."""
        counters = self.state.counters
        counters["tight"] = counters["tight"] + 1 if retries else 0
        if counters["tight"] == 2:
            counters["tight"], micro_batch = 0, (micro_batch + 1) // 2
        counters["micro_batch"] = micro_batch

    def _validate(self, row: StepRow | None) -> None:
        """Score the weights on val, keep them as the settings say, and extend the curves."""
        counters, keep, task = self.state.counters, self.settings["keep"], self.task
        weights = self._weights()
        logits = logits_of(self.learner.network, task.val, task.device, self.settings, counters["micro_batch"], weights)
        score = torch.tensor(score_of(logits, task.val, self.settings["choose_by"]), dtype=torch.float64)
        counters["epoch"] += 1
        if judge(self.state.tensors, score, counters["epoch"], keep) and keep == "best":
            self.kept = {name: own_copy(tensor) for name, tensor in weights.items()}
        loss = self.state.tensors["loss_sum"] / task.batches
        self.state.record(train_loss=loss.float(), val_score=score.float())
        self.state.tensors["loss_sum"], counters["place"] = torch.zeros_like(loss), 0
        if row:
            self.watch.epoch(row, float(score))

    def _snapshot(self) -> State:
        """The state with all that a step changes."""
        learner = self.learner
        parts = {
            "network": learner.network.trained.state_dict(),
            "average": learner.average.tensors if learner.average else {},
            "kept": self.kept,
        }
        tensors = {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        tensors |= optimizer_tensors(learner.optimizer, learner.scaler)
        return State(self.state.counters, self.state.tensors | tensors, self.state.curves)

    def _resume(self) -> None:
        saved, learner = self.file.load(), self.learner
        if saved is None:
            return
        learner.network.trained.load_state_dict(part_of(saved.tensors, "network"))
        for name, tensor in part_of(saved.tensors, "average").items():
            learner.average.tensors[name].copy_(tensor)  # type: ignore[union-attr]
        restore_optimizer(learner.optimizer, learner.scaler, saved.tensors)
        self.kept = part_of(saved.tensors, "kept")
        own = {name: saved.tensors[name] for name in self.state.tensors}
        self.state = State(saved.counters, own, saved.curves)
        print(f"goes on behind step {saved.counters['step']} of {self.task.steps}", flush=True)


def order_of(seed: int, epoch: int) -> np.random.Generator:
    """What the order of the images in an epoch is drawn from."""
    return np.random.default_rng([seed, epoch])


def own_copy(tensor: torch.Tensor) -> torch.Tensor:
    """On the CPU, in the order of its axes."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def batch_of(task: NetworkTask, arrays: Arrays, seed: int, epoch: int, step: int) -> Batch:
    """The images of train at ``place`` as a step sees them. arrays: ``x`` too where they have been read."""
    settings, place_B = task.settings, arrays["place"]
    if "x" not in arrays:
        arrays = read_images(task.train, seed, epoch, place_B)
    x = torch.from_numpy(arrays["x"])
    image_id_B = task.train.image_id_N[place_B]
    if settings["augment"]:
        x = augment(x, settings["augment"], seed, epoch, image_id_B, settings["shift_px"])
    return Batch(x, image_id_B, _targets(task, task.train.label_N[place_B], seed, step))


def _targets(task: NetworkTask, label_B: NDArray[np.int64], seed: int, step: int) -> Targets:
    labels = torch.from_numpy(label_B).to(task.device)
    if not task.settings["mixup"]:
        return Targets(labels)
    drawn = mixed_pairs(seed, step, len(label_B), task.settings["mixup"])
    return Targets(labels, *(torch.from_numpy(part).to(task.device) for part in drawn))


def places(place_B: NDArray[np.int64]) -> Arrays:
    """The places of images, which are read later."""
    return {"place": place_B}


def read_images(images: Images, seed: int, epoch: int, place_B: NDArray[np.int64]) -> Arrays:
    """Some images in their views of an epoch, and their places."""
    return {"x": images.read(place_B, drawn_views(images, seed, epoch, place_B)), "place": place_B}
