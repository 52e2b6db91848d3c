"""One step of training: the gradients of a batch in micro-batches, and the update of the weights.

Where memory runs out, in the forward or backward pass or before the update, the whole step is done again with half of
the micro-batch. Nothing has been changed until then, and all random numbers are the images' own. So with frozen batch
norm the gradient is that of the step that did not fail, but for rounding, and the weights are, to the bit, those of a
step planned at that size.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unchoke.encoders.encoder import PRECISIONS
from unchoke.images.steps import BACKWARD, FORWARD, FROZEN, INPUTS, PLAIN, Steps
from unchoke.machine.halving import in_halves, is_out_of_memory
from unchoke.networks.cards import Cards
from unchoke.networks.layers import Draws, batch_norms
from unchoke.networks.losses import Targets, loss_sum, total_weight, weighted_targets
from unchoke.networks.network import Network
from unchoke.networks.optimizer import Average, make_optimizer, parameters_of, reserve, set_rate


@dataclass(frozen=True)
class Batch:
    """Some images, B of them."""

    x: torch.Tensor
    """Activations float16, or pixels uint8, (B, …), on the CPU."""
    image_id_B: NDArray[np.int64]
    targets: Targets
    """On the device."""


@dataclass
class Learner:
    """A network in training, with all that a step changes."""

    network: Network
    settings: dict[str, Any]
    """Of the config: label_smoothing, clip_norm, precision count here."""
    device: torch.device
    weight_C: torch.Tensor
    """Weight of each class in the loss."""
    draws: Draws
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    """Keeps gradients within float16; does nothing in other precisions."""
    average: Average | None
    cards: Cards
    """The processes that share each step."""
    run: Callable[[torch.Tensor], torch.Tensor]
    """The trained part, compiled where the settings ask for it."""
    steps: Steps = PLAIN
    """What takes the parts of each step; a profile's own times or replaces them."""

    def autocast(self) -> AbstractContextManager[None]:
        """Arithmetic of the settings' precision on cards; float32 elsewhere."""
        return autocast(self.device, self.settings["precision"])


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Arithmetic in `precision` on a card; the CPU computes in float32."""
    enabled = device.type == "cuda" and precision != "float32"
    return torch.autocast(device.type, PRECISIONS[precision], enabled=enabled)


def make_learner(
    network: Network,
    settings: dict[str, Any],
    device: torch.device,
    weight_C: torch.Tensor,
    decay: float,
    seed: int,
    cards: Cards | None = None,
) -> Learner:
    """A learner before its first step. decay: of the weights. seed: of all masks. cards: None: this process alone."""
    draws = Draws(seed)
    network = network.prepared(device, draws, dropout=settings["dropout"], checkpointing=settings["checkpointing"])
    scaled = settings["precision"] == "float16" and device.type == "cuda"
    return Learner(
        network,
        settings,
        device,
        weight_C.to(device),
        draws,
        make_optimizer(network.model, settings, decay),
        torch.amp.GradScaler(device.type, enabled=scaled),
        Average(network.trained, settings["ema"]) if settings["ema"] else None,
        cards or Cards(),
        torch.compile(network.trained) if settings["compile"] else network.trained,
    )


def gradients(learner: Learner, batch: Batch, step: int, micro_batch: int) -> tuple[torch.Tensor, int]:
    """Leave the gradients of a batch in the network; its loss, float32 (), and the micro-batch that memory allowed."""
    cards, device, own = learner.cards, learner.device, learner.cards.rows(len(batch.x))
    norms = [(buffer, buffer.clone()) for buffer in norm_buffers(learner)]

    def attempt(size: int) -> torch.Tensor:
        for buffer, before in norms:
            buffer.copy_(before)
        try:
            loss, problem = gradients_at_once(learner, batch, step, size), ""
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            loss, problem = None, str(error)
        if cards.any(bool(problem), device) or loss is None:
            raise torch.OutOfMemoryError(problem or "on another card")
        return loss

    largest = max(1, own.stop - own.start)
    loss, size = in_halves(attempt, min(micro_batch, largest))
    _add_up(learner, loss)
    return loss, micro_batch if size == largest else size


def gradients_at_once(learner: Learner, batch: Batch, step: int, size: int) -> torch.Tensor:
    """Those of this process's rows in parts of at most `size`; an error of memory, also where an update has no room."""
    learner.optimizer.zero_grad(set_to_none=True)
    parts = even_parts(learner.cards.rows(len(batch.x)), size)
    learner.network.train(single=any(part.stop - part.start == 1 for part in parts[-1:]))
    total, loss = total_weight(batch.targets, learner.weight_C), torch.zeros((), device=learner.device)
    take = learner.steps.take
    for part in parts:
        learner.draws.see(step, batch.image_id_B[part])
        x = take(FROZEN, _activations, learner, take(INPUTS, _mixed, learner, batch, part))
        share = take(FORWARD, _loss_of, learner, batch, part, x) / total
        take(BACKWARD, learner.scaler.scale(share).backward)
        loss += share.detach()
    reserve(learner.optimizer)
    return loss


def norm_buffers(learner: Learner) -> list[torch.Tensor]:
    """Statistics that steps change; none where batch norm is frozen."""
    norms = [] if learner.network.frozen_norm else batch_norms(learner.network.trained)
    return [buffer for norm in norms for buffer in norm.buffers()]


def _add_up(learner: Learner, loss: torch.Tensor) -> None:
    """Loss and gradients of all processes; running statistics are their mean."""
    cards = learner.cards
    if cards.count == 1:
        return
    parameters = parameters_of(learner.optimizer)
    for parameter in parameters:
        if parameter.grad is None:  # a process without rows
            parameter.grad = torch.zeros_like(parameter)
    statistics = [buffer for buffer in norm_buffers(learner) if buffer.is_floating_point()]
    cards.add_up([loss, *(parameter.grad for parameter in parameters if parameter.grad is not None), *statistics])
    for buffer in statistics:
        buffer.div_(cards.count)


def even_parts(rows: slice, size: int) -> list[slice]:
    """Consecutive parts of at most `size` rows, nearly the same, longer ones first."""
    count = rows.stop - rows.start
    lengths = [len(part) for part in np.array_split(np.arange(count), math.ceil(count / size))] if count else []
    edges = np.cumsum([rows.start, *lengths]).tolist()
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _activations(learner: Learner, x: torch.Tensor) -> torch.Tensor:
    """What the trained part sees of a micro-batch."""
    with learner.autocast():
        return learner.network.activations(x)


def _loss_of(learner: Learner, batch: Batch, part: slice, x: torch.Tensor) -> torch.Tensor:
    """Sum of the loss over a micro-batch. x: what the trained part sees of it."""
    with learner.autocast():
        logits_BC = learner.run(x)
    smoothing = learner.settings["label_smoothing"]
    return loss_sum(logits_BC, weighted_targets(batch.targets, part, learner.weight_C, smoothing))


def _mixed(learner: Learner, batch: Batch, part: slice) -> torch.Tensor:
    """Inputs of a micro-batch on the device, each with its share of the partner."""
    x = learner.network.inputs(batch.x[part].to(learner.device))
    partner_B, share_B = batch.targets.partner_B, batch.targets.share_B
    if partner_B is None or share_B is None:
        return x
    other = learner.network.inputs(batch.x[partner_B[part].cpu()].to(learner.device))
    return other.lerp(x, share_B[part].view(-1, *[1] * (x.ndim - 1)))


def update(learner: Learner, step: int, rate: float) -> None:
    """Change the weights by the gradients that ``gradients`` has left."""
    optimizer, clip = learner.optimizer, learner.settings["clip_norm"]
    learner.scaler.unscale_(optimizer)
    if clip is not None:
        nn.utils.clip_grad_norm_(parameters_of(optimizer), clip, foreach=False)
    set_rate(optimizer, rate)
    learner.scaler.step(optimizer)
    learner.scaler.update()
    if learner.average:
        learner.average.update(learner.network.trained, step)
