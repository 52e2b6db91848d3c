"""A training of a network on a sample, timed: the loop that trains networks of the config, for two epochs."""

import gc
import io
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from unchoke.errors import UnchokeError
from unchoke.machine.memory import budget_of, keep_budget, meter_of
from unchoke.machine.peaks import MARGIN
from unchoke.machine.process_tree import cpu_s
from unchoke.networks.build import build_network
from unchoke.networks.member import Member, train_member
from unchoke.networks.network import Network
from unchoke.networks.plan import first_learner, fitting_peaks
from unchoke.networks.predict import logits_of
from unchoke.networks.sources import origin_facts
from unchoke.networks.step_log import StepLog, StepRow
from unchoke.networks.task import NetworkTask
from unchoke.pipelines.entries import Pipeline
from unchoke.pipelines.measure import Done, drop_from_cache
from unchoke.pipelines.network_entries import training_of
from unchoke.pipelines.network_images import Caches, Seen
from unchoke.pipelines.network_work import MICRO_BATCH, NetworkWork
from unchoke.pipelines.work import Features, Work

IMAGES_MB = 1024
"""Memory that a training has for images, MB: the default of ``networks.task.NetworkTask``."""


class Clock(StepLog):
    """Notes when epochs end, and ends a training whose micro-batch is beyond the budget."""

    def __init__(self, micro_batch: int, most_mb: float) -> None:
        """most_mb: infinite where the micro-batch is the planned one."""
        super().__init__(None, 0, 0, io.StringIO())
        self._micro_batch, self._most_mb, self._process = micro_batch, most_mb, psutil.Process()
        self.ends: list[tuple[float, float]] = []
        """Of each epoch: seconds by the clock, and of processors."""
        self.steps_s: list[float] = [0.0]
        """Of all steps of each epoch."""

    def begin(self, step: int) -> None:
        """Nothing."""

    def step(self, row: StepRow) -> None:
        """Note its time; UnchokeError where its memory is beyond the budget, or ran out."""
        self.steps_s[-1] += row.seconds
        ran_out = row.micro_batch < self._micro_batch
        if ran_out or row.peak_mb > self._most_mb:
            found = "memory runs out" if ran_out else f"a peak of {row.peak_mb:,.0f} MB"
            what = f"{found} with micro-batches of {self._micro_batch}"
            raise UnchokeError(f"{what}, more than {MARGIN:.0%} of gpu.vram_mb allow.")

    def epoch(self, row: StepRow, score: float) -> None:
        """Note its end; val has been scored."""
        self.ends.append((time.perf_counter(), cpu_s(self._process)))
        self.steps_s.append(0.0)

    def close(self) -> None:
        """Nothing."""


def measure_training(pipeline: Pipeline, work: Work, vram_mb: float) -> Done:
    """Two epochs; the first makes the caches, or starts the workers. Its features are the logits of val at the end.

    What steps of a compiled network take more in the first epoch than in the second is compiling, and is left out.
    UnchokeError where a micro-batch that was not planned is beyond the budget.
    """
    source, own = training_of(pipeline, work)
    device = _begin(own, vram_mb)
    is_planned = MICRO_BATCH not in dict(pipeline.encoder)
    most_mb = math.inf if is_planned else MARGIN * budget_of(meter_of(device), vram_mb)
    clock = Clock(own.network_batch, most_mb)
    drop_from_cache(own.source_files())
    started = time.perf_counter()
    seen = source.images(own)
    _give_back(device)
    task, single = task_of(own, seen), own.single
    rate, decay, seed = (single[key][0] for key in ("learning_rates", "weight_decays", "seeds"))
    member = train_member(task, rate, decay, seed, own.network_batch, watch=clock)
    (cold_end_s, cold_cpu_s), (warm_end_s, warm_cpu_s) = clock.ends
    first_s, second_s = clock.steps_s[:2]
    compile_s = max(0.0, first_s - second_s) if single["compile"] else 0.0
    seconds = cold_end_s - started - compile_s, warm_end_s - cold_end_s, warm_cpu_s - cold_cpu_s
    return Done(*seconds, compile_s, _logits(task, member, seen, own))


def plan_training(pipeline: Pipeline, work: Work, vram_mb: float) -> int:
    """The micro-batch that the plan of a training takes; UnchokeError where a single image does not fit."""
    _, own = training_of(pipeline, work)
    device = _begin(own, vram_mb)
    task, meter = task_of(own, Caches().images(own)), meter_of(device)
    return fitting_peaks(task, first_learner(task), meter, budget_of(meter, vram_mb)).micro_batch


def _begin(work: NetworkWork, vram_mb: float) -> torch.device:
    torch.set_num_threads(work.threads)
    device = torch.device(work.device)
    if device.type == "cuda":
        keep_budget(meter_of(device), vram_mb)
    return device


def _give_back(device: torch.device) -> None:
    """Let a card have what the encoder took that made the cache: steps are held to the budget by themselves."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def task_of(work: NetworkWork, seen: Seen) -> NetworkTask:
    """The training of the network on what was read."""
    settings, weights, card = work.single, work.weights, work.card
    has_encoder = settings["encoder"] is not None
    facts = {**origin_facts(settings, card if has_encoder else None), "image_size": seen.image_size}
    build = partial(_build, facts, settings, len(seen.classes), weights if has_encoder else None)
    given = build, seen.train, seen.val, settings, len(seen.classes), torch.device(work.device), ""
    return NetworkTask(*given, chunk_size=work.settings.chunk_size, budget_mb=IMAGES_MB * work.share)


def _build(facts: dict[str, Any], settings: dict[str, Any], n_classes: int, weights: Path | None, seed: int) -> Network:
    return build_network(facts, settings, n_classes, seed, weights)


def _logits(task: NetworkTask, member: Member, seen: Seen, work: NetworkWork) -> Features:
    """Of the images of val, at their places in the sample; zeros elsewhere."""
    network, val = first_learner(task).network, seen.val_again()
    tensors = {name: tensor.to(task.device) for name, tensor in member.tensors.items()}
    found_NC = logits_of(network, val, task.device, task.settings, work.network_batch, tensors)
    values_NC = np.zeros((len(work.rows), len(seen.classes)), np.float32)
    values_NC[val.image_id_N] = found_NC.numpy()
    return Features(values_NC, seen.valid_N)
