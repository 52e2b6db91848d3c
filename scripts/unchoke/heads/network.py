"""The networks that gradient steps train, all members of an ablation in one tensor for each parameter.

A parameter has the shape (S, L, out, in) for S seeds and L settings. Classes stand before rows in logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Parameters = dict[str, torch.Tensor]
First = Callable[[torch.Generator, int, int, dict[str, Any]], Parameters]
Forward = Callable[[Parameters, torch.Tensor], tuple[torch.Tensor, ...]]
AddGradients = Callable[[Parameters, torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor, Parameters, float], None]


@dataclass(frozen=True)
class Network:
    """The functions that tell one kind of network from another."""

    first: First
    """Initial parameters of one seed, each (in, out), from generator, width, classes and settings."""
    forward: Forward
    """Outputs of every layer, the logits (S, L, C, B) last, from parameters and rows (S, B, D)."""
    add_gradients: AddGradients
    """Accumulates each parameter's gradient into the buffer of its name: ``buffer = beta * buffer + gradient``.

    Arguments: parameters, rows, outputs of the layers, gradient of the loss by the logits, buffers, beta.
    """


def add_product(into: torch.Tensor, left: torch.Tensor, right: torch.Tensor, beta: float) -> None:
    """``into = beta * into + left @ right`` in one pass; shapes (N, a, c), (N, a, b) and (N, b, c)."""
    if left.dtype == right.dtype == into.dtype and not torch.is_autocast_enabled(into.device.type):
        torch.baddbmm(into, left, right, beta=beta, out=into)
    else:
        _add(into, torch.bmm(left, right), beta)


def add_sum(into: torch.Tensor, slope_SLCB: torch.Tensor, beta: float) -> None:
    """``into = beta * into + sum over rows``; `into` has the shape (S, L, C, 1)."""
    _add(into, slope_SLCB.sum(3, keepdim=True), beta)


def _add(into: torch.Tensor, more: torch.Tensor, beta: float) -> None:
    if beta:
        into.mul_(beta).add_(more)
    else:
        into.copy_(more)
