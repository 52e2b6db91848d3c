"""The plan of a network: the largest micro-batch that keeps the memory budget, and the minutes that training takes."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from unchoke.errors import UnchokeError
from unchoke.images.steps import UPDATE
from unchoke.machine.memory import Meter
from unchoke.machine.peaks import MARGIN, Peaks, measure_peaks, peak_of
from unchoke.networks.images import HeldImages, Images
from unchoke.networks.losses import Targets
from unchoke.networks.predict import logits_of, score_of
from unchoke.networks.step import Batch, Learner, gradients_at_once, make_learner, update
from unchoke.networks.task import NetworkTask

TIMED_STEPS = 3
"""Steps that are timed; the fastest counts, as other work only makes steps slower."""


def plan_network(task: NetworkTask, meter: Meter, budget_mb: float) -> dict[str, Any]:
    """Measure peaks at growing micro-batches and the seconds of a step; what is trained here is thrown away.

    Gives micro_batch, peak_mb, peaks_mb, step_s (of a whole batch), val_s (of a score on val), minutes (of all
    members). Raises UnchokeError where the score is not defined on val, a single image does not fit into the budget,
    MB, or training would take more than the settings' `minutes`.
    """
    val = task.val
    score_of(torch.zeros(val.views * len(val.label_N), task.n_classes), val, task.settings["choose_by"])  # defined?
    learner = first_learner(task)
    peaks = fitting_peaks(task, learner, meter, budget_mb)
    return peaks.plan(budget_mb) | minutes_of(task, learner, peaks.micro_batch)


def first_learner(task: NetworkTask) -> Learner:
    """That of the first member, which computes eagerly: the first steps of a compiled one would be measured."""
    settings = task.settings
    return make_learner(
        task.build(settings["seeds"][0]),
        {**settings, "compile": False},
        task.device,
        task.class_weights(),
        settings["weight_decays"][0],
        settings["seeds"][0],
    )


def fitting_peaks(task: NetworkTask, learner: Learner, meter: Meter, budget_mb: float) -> Peaks:
    """Peaks at growing micro-batches; UnchokeError where a single image does not fit into the budget, MB."""
    settings = task.settings

    def measure(micro_batch: int) -> float | None:
        batch = first_batch(task.train, micro_batch, task.device, settings)
        return peak_of(partial(take_step, learner, batch, micro_batch), meter)

    peaks = measure_peaks(measure, budget_mb, min(rows_of_a_card(settings), len(task.train.image_id_N)))
    if not peaks.micro_batch:
        raise UnchokeError(
            "The network does not fit the memory budget.",
            found=peaks.found(),
            expected=f"at most {MARGIN * budget_mb:.0f} MB, {MARGIN:.0%} of gpu.vram_mb",
            do="train fewer blocks, set checkpointing: true, take a smaller model or image_size, or raise gpu.vram_mb",
        )
    return peaks


def rows_of_a_card(settings: dict[str, Any]) -> int:
    """Images of a batch that one of the cards sees."""
    return math.ceil(int(settings["batch_size"]) / int(settings["cards"]))


def first_batch(images: Images, size: int, device: torch.device, settings: dict[str, Any]) -> Batch:
    """Some images of a split, unchanged; mixed with themselves where the settings mix."""
    place_B = np.arange(min(size, len(images.image_id_N)))
    x = torch.from_numpy(images.read(place_B, np.zeros_like(place_B)))
    label_B = torch.from_numpy(images.label_N[place_B]).to(device)
    mixed = (torch.from_numpy(place_B).to(device), torch.full((len(x),), 0.5, device=device))
    return Batch(x, images.image_id_N[place_B], Targets(label_B, *mixed) if settings["mixup"] else Targets(label_B))


def take_step(learner: Learner, batch: Batch, micro_batch: int) -> None:
    """A step that changes no weight; an error of memory where the micro-batch does not fit."""
    loss = gradients_at_once(learner, batch, 0, micro_batch)
    learner.steps.take(UPDATE, update, learner, 0, 0.0)
    float(loss)  # a card is waited for


def minutes_of(task: NetworkTask, learner: Learner, micro_batch: int) -> dict[str, float]:
    """Seconds of a step and of a score on val, and the minutes of all members; UnchokeError beyond `minutes`."""

    def read_and_step() -> None:
        batch = first_batch(task.train, rows_of_a_card(task.settings), task.device, task.settings)
        take_step(learner, batch, micro_batch)

    step_s = min(seconds_of(read_and_step) for _ in range(TIMED_STEPS))
    val_s = seconds_of_val(task, learner, micro_batch)
    member_s = task.steps * step_s + task.settings["epochs"] * val_s
    minutes, most = task.members * member_s / 60, task.settings["minutes"]
    if most is not None and minutes > most:
        raise UnchokeError(
            "Training would take longer than it may.",
            found=f"{minutes:,.1f} minutes: {task.members} members × {task.steps:,} steps × {step_s:.3f} s, and "
            f"{task.settings['epochs']} scores on val × {val_s:.1f} s each",
            expected=f"at most {most:g} minutes (minutes)",
            do=ways_out(task),
        )
    return {"step_s": step_s, "val_s": val_s, "minutes": minutes}


def ways_out(task: NetworkTask) -> str:
    """What makes a training shorter."""
    ways = ["fewer epochs"]
    ways += [f"fewer {name}" for name in ("learning_rates", "weight_decays", "seeds") if len(task.settings[name]) > 1]
    if task.settings["blocks"] == "all" or task.settings["cache"] == "none":
        ways.append("the last blocks alone, from cached activations (blocks: 2, cache: activations)")
    else:
        ways.append("fewer blocks")
    return f"take {', '.join(ways)}; or raise minutes (null: any)"


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of doing something once."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def seconds_of_val(task: NetworkTask, learner: Learner, micro_batch: int) -> float:
    """Of the score on all of val in all views, from some images of it."""
    images, place_N = task.val, np.arange(min(len(task.val.image_id_N), micro_batch))
    x = images.read(place_N, np.zeros_like(place_N))
    some = HeldImages(images.image_id_N[place_N], images.label_N[place_N], x[None])
    seconds = seconds_of(partial(logits_of, learner.network, some, task.device, task.settings, micro_batch))
    return seconds * images.views * len(images.image_id_N) / len(place_N)
