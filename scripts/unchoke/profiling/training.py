"""Stage: the profile of a training: each part of a step by itself, and the same steps without it."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch

from unchoke.images.steps import BACKWARD, FORWARD, FROZEN, INPUTS, READ, TRAINING_STEPS, UPDATE, Steps
from unchoke.machine.memory import Meter
from unchoke.names import LEAST_PROFILED
from unchoke.networks.member import batch_of
from unchoke.networks.optimizer import parameters_of
from unchoke.networks.plan import first_learner, fitting_peaks, rows_of_a_card, take_step
from unchoke.networks.step import Learner
from unchoke.networks.task import NetworkTask
from unchoke.profiling.idle import NO_CARD, Watched, has_clock, idle_shares
from unchoke.profiling.rounds import AGAIN, ALONE, LEAST_ROUNDS, WATCHED, WHOLE, in_rounds, judged
from unchoke.profiling.steps import Timed

P = ParamSpec("P")
T = TypeVar("T")

REPLAYED = (READ, INPUTS, FROZEN)
PASSES = "forward and backward"
NOT_FROZEN = "no frozen part runs in a step"


def profile_training(task: NetworkTask, meter: Meter, budget_mb: float, seconds: float, seed: int) -> dict[str, Any]:
    """Every part of the steps of a training timed by itself, and the same steps without it, in interleaved rounds.

    task: with the images of a sample in memory. budget_mb: for the micro-batch, which is planned as for a training.
    seconds: about how long. The result is plain JSON. UnchokeError where a single image does not fit into the budget.
    """
    started, learner = time.perf_counter(), first_learner(task)
    micro_batch = fitting_peaks(task, learner, meter, budget_mb).micro_batch
    batch = min(rows_of_a_card(task.settings), len(task.train.image_id_N))
    measured = _Measured(task, learner, micro_batch, batch, len(task.train.image_id_N), seed)
    absent = {} if learner.network.frozen else {FROZEN: NOT_FROZEN}
    names = [step for step in TRAINING_STEPS if step not in absent]
    measured.shorten(seconds / (len(names) + len((WHOLE, AGAIN, ALONE, WATCHED))))
    found = in_rounds(measured.arms(names), seconds, seed)
    found[FORWARD] = without_forward(*(found[arm] for arm in (WHOLE, BACKWARD, PASSES)))
    return {
        **judged(found, measured.alone_s(names), {}),
        "absent": absent,
        "images": measured.images,
        "batch": measured.batch,
        "micro_batch": micro_batch,
        "threads": torch.get_num_threads(),
        "device": task.device.type,
        "compiled": False,
        "idle": measured.idle(),
        "took_s": time.perf_counter() - started,
    }


def without_forward(
    whole_R: Sequence[float], no_backward_R: Sequence[float], neither_R: Sequence[float]
) -> list[float]:
    """Seconds an image of the steps without their forward pass, of R rounds, from those that each round measured.

    The backward pass needs what the forward pass computes, so that it cannot be left out alone. What the steps without
    either save beside those without a backward pass is the forward pass. No step is faster than one without either.
    """
    rounds = zip(whole_R, no_backward_R, neither_R, strict=True)
    return [max(whole - (no_backward - neither), neither) for whole, no_backward, neither in rounds]


class Recorded(Steps):
    """Keeps what comes before the forward pass, call by call, and the gradients of the last step."""

    def __init__(self, learner: Learner) -> None:
        self.results: dict[str, list[Any]] = defaultdict(list)
        self.gradients: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.nothing = torch.zeros((), device=learner.device)
        """In the place of a loss."""
        self._learner = learner

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        found = function(*args, **kwargs)
        if step in REPLAYED:
            self.results[step].append(found)
        if step == BACKWARD:
            parameters = parameters_of(self._learner.optimizer)
            self.gradients = [(own, own.grad.clone()) for own in parameters if own.grad is not None]
        return found


class Skipping(Steps):
    """Takes no time for some parts of a step: what was recorded stands in its place, and no update is made.

    A forward pass can be left out together with the backward pass alone.
    """

    def __init__(self, recorded: Recorded, *skipped: str) -> None:
        self._recorded, self._skipped = recorded, skipped
        self._results = {step: iter(recorded.results[step]) for step in skipped}

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if step not in self._skipped:
            return function(*args, **kwargs)
        if step in REPLAYED:
            return next(self._results[step])  # type: ignore[no-any-return]
        if step == FORWARD:
            return self._recorded.nothing  # type: ignore[return-value]
        if step == BACKWARD:
            for parameter, gradient in self._recorded.gradients:
                parameter.grad = gradient
        return None  # type: ignore[return-value]


class _WatchedSteps(Watched):
    """The steps of a training on the card's clock, reading on the host's."""

    def __init__(self) -> None:
        super().__init__(INPUTS, UPDATE)
        self.reading_s = 0.0

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        started = time.perf_counter()
        found = super().take(step, function, *args, **kwargs)
        self.reading_s += (time.perf_counter() - started) * (step == READ)
        return found


@dataclass
class _Measured:
    """The work: all steps of one pass through some images."""

    task: NetworkTask
    learner: Learner
    micro_batch: int
    batch: int
    """Images of a step."""
    images: int
    seed: int
    timed: list[Timed] = field(default_factory=list)
    watched: list[dict[str, float]] = field(default_factory=list)

    def shorten(self, arm_s: float) -> None:
        """Leave as many images as let each arm keep to `arm_s` in the least number of rounds; whole steps if it can."""
        self.images = min(self.images, self.batch)
        pace_s = self.run(Steps())
        fits = int(arm_s / (pace_s * LEAST_ROUNDS))
        rows = len(self.task.train.image_id_N)
        if fits < self.batch:
            self.images = self.batch = min(rows, max(LEAST_PROFILED, fits))
        else:
            self.images = min(fits, rows) // self.batch * self.batch

    def arms(self, names: Sequence[str]) -> dict[str, Callable[[], float]]:
        """Each way to take the steps by name, which returns seconds an image; they are taken once before."""
        whole, recorded = partial(self.run, Steps()), Recorded(self.learner)
        self.run(recorded)
        arms: dict[str, Callable[[], float]] = {WHOLE: whole, AGAIN: whole, ALONE: self._alone}
        parts = {name: (name,) for name in names if name != FORWARD} | {PASSES: (FORWARD, BACKWARD)}
        arms |= {arm: partial(self._without, recorded, *skipped) for arm, skipped in parts.items()}
        return {**arms, WATCHED: self._watched} if has_clock(self.task.device) else arms

    def run(self, steps: Steps) -> float:
        """Seconds an image."""
        learner = replace(self.learner, steps=steps)
        order_N = np.random.default_rng(self.seed).permutation(len(self.task.train.image_id_N))[: self.images]
        started = time.perf_counter()
        for step, first in enumerate(range(0, self.images, self.batch)):
            steps.begin(str(step))
            places = {"place": order_N[first : first + self.batch]}
            batch = steps.take(READ, batch_of, self.task, places, self.seed, 0, step)
            take_step(learner, batch, self.micro_batch)
        return (time.perf_counter() - started) / self.images

    def _without(self, recorded: Recorded, *skipped: str) -> float:
        return self.run(Skipping(recorded, *skipped))

    def _alone(self) -> float:
        self.timed.append(Timed(self.task.device))
        return self.run(self.timed[-1])

    def _watched(self) -> float:
        steps = _WatchedSteps()
        each_s = self.run(steps)
        total_s = each_s * self.images
        self.watched.append(idle_shares(total_s, total_s - steps.reading_s, steps.busy_s()))
        return each_s

    def alone_s(self, parts: Sequence[str]) -> dict[str, float]:
        """Median seconds an image of each part by itself."""
        return {step: median(timed.seconds[step] for timed in self.timed) / self.images for step in parts}

    def idle(self) -> dict[str, Any]:
        """Median shares over rounds, or why there are none."""
        if not self.watched:
            return {"reason": NO_CARD}
        return {cause: median(shares[cause] for shares in self.watched) for cause in self.watched[0]}
