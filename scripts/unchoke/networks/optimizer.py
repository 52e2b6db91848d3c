"""AdamW or SGD with a learning rate a layer, and the mean of the weights over the steps.

Nothing here needs memory in the middle of an update: moments are created at the start, and room is taken beforehand.
"""

from typing import Any

import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay  # type: ignore[attr-defined]
from torch import nn

from unchoke.training.resume import Tensors


def make_optimizer(model: nn.Module, settings: dict[str, Any], decay: float) -> torch.optim.Optimizer:
    """An optimizer of all parameters that need a gradient, with its moments.

    model: whole, as timm groups the layers of whole models. settings: optimizer, momentum, layer_decay. decay: of the
    weights; norms, biases and what the model itself names have none. ``set_rate`` sets the learning rate.
    """
    groups, momentum = parameter_groups(model, decay, settings["layer_decay"]), settings["momentum"]
    optimizer: torch.optim.Optimizer
    if settings["optimizer"] == "sgd":
        optimizer = torch.optim.SGD(groups, 0.0, momentum, foreach=False)
    else:
        optimizer = torch.optim.AdamW(groups, 0.0, (momentum, 0.999), foreach=False)
    for parameter in parameters_of(optimizer):
        optimizer.state[parameter].update(first_moments(parameter, settings["optimizer"]))
    return optimizer


def parameter_groups(model: Any, decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """timm's groups; ``lr_scale`` is the factor of a layer's learning rate."""
    spared = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    if layer_decay == 1:
        return list(param_groups_weight_decay(model, decay, no_weight_decay_list=spared))
    return list(param_groups_layer_decay(model, decay, no_weight_decay_list=spared, layer_decay=layer_decay))


def first_moments(parameter: torch.Tensor, kind: str) -> Tensors:
    """The state before the first step, as torch would create it then."""
    if kind == "sgd":
        return {"momentum_buffer": torch.zeros_like(parameter)}
    return {
        "step": torch.zeros(()),
        "exp_avg": torch.zeros_like(parameter),
        "exp_avg_sq": torch.zeros_like(parameter),
    }


def parameters_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """The parameters of all groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the last layer; those before have their share of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def reserve(optimizer: torch.optim.Optimizer) -> None:
    """Take and give back the memory of an update, so that it runs out here or not at all.

    An update goes from parameter to parameter (``foreach=False``) and needs at most two tensors of its size.
    """
    largest = max(parameters_of(optimizer), key=torch.Tensor.numel)
    torch.empty_like(largest), torch.empty_like(largest)


class Average:
    """Exponential mean of weights and running statistics; the first steps count less, as timm and TensorFlow do it."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights behind `step` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, 1 - decay)
            else:
                self.tensors[name].copy_(tensor)
