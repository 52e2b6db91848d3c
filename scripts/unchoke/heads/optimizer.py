"""Optimizer steps of all members at once, each setting with its own learning rate and weight decay."""

import math
from typing import Any

import torch

from unchoke.heads.network import Parameters
from unchoke.training.resume import Tensors, part_of
from unchoke.training.schedule import rate_factor

_SECOND_RATE, _EPSILON = 0.999, 1e-8  # AdamW's, torch's defaults


class Optimizer:
    """SGD with momentum, or AdamW (Loshchilov and Hutter 2019), as torch.optim has them.

    The state's tensors hold the parameters as ``now.*`` and their moments as ``first.*`` and ``second.*``.
    """

    def __init__(
        self, settings: dict[str, Any], grid: list[tuple[float, float]], steps: int, device: torch.device
    ) -> None:
        """steps: of the whole training, for the schedule."""
        self._settings, self._steps = settings, steps
        rate_L, decay_L = (torch.tensor(column, device=device) for column in zip(*grid, strict=True))
        self._rate_L11, self._decay_L11 = rate_L[:, None, None], decay_L[:, None, None]
        self._is_sgd = settings["optimizer"] == "sgd"
        self._into_momentum = self._is_sgd and not any(decay for _, decay in grid)
        self._gradients: Parameters = {}

    def moments(self, name: str, now: torch.Tensor) -> Tensors:
        """Moments of a parameter before the first step, by their names."""
        return {f"{part}.{name}": torch.zeros_like(now) for part in ("first", *([] if self._is_sgd else ["second"]))}

    def buffers(self, tensors: Tensors) -> tuple[Parameters, float]:
        """Buffers for a step's gradients, and beta: ``buffer = beta * buffer + gradient``.

        SGD without weight decay accumulates gradients directly in the momentum.
        """
        if self._into_momentum:
            return part_of(tensors, "first"), self._settings["momentum"]
        if not self._gradients:
            self._gradients = {name: torch.empty_like(now) for name, now in part_of(tensors, "now").items()}
        return self._gradients, 0.0

    def step(self, tensors: Tensors, step: int) -> None:
        """Update parameters and moments in place from the gradients in ``buffers``; step: from 0."""
        rate_L11 = self._rate_L11 * rate_factor(self._settings["schedule"], step, self._steps)
        update = self._sgd if self._is_sgd else self._adamw
        for name in part_of(tensors, "now"):
            update(tensors, name, rate_L11, step)

    def _sgd(self, tensors: Tensors, name: str, rate_L11: torch.Tensor, _: int) -> None:
        now, first = tensors[f"now.{name}"], tensors[f"first.{name}"]
        if not self._into_momentum:
            gradient = self._gradients[name].addcmul_(self._decay_L11, now)
            first.mul_(self._settings["momentum"]).add_(gradient)
        now.addcmul_(rate_L11, first, value=-1)

    def _adamw(self, tensors: Tensors, name: str, rate_L11: torch.Tensor, step: int) -> None:
        now, gradient, momentum = tensors[f"now.{name}"], self._gradients[name], self._settings["momentum"]
        first, second = tensors[f"first.{name}"], tensors[f"second.{name}"]
        first.lerp_(gradient, 1 - momentum)
        second.mul_(_SECOND_RATE).addcmul_(gradient, gradient, value=1 - _SECOND_RATE)
        root = (second.sqrt() / math.sqrt(1 - _SECOND_RATE ** (step + 1))).add_(_EPSILON)
        now.mul_(1 - rate_L11 * self._decay_L11)
        now.addcdiv_(first * (rate_L11 / (momentum ** (step + 1) - 1)), root)
