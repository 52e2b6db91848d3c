"""Linear probe by gradient steps: one layer, every member of the ablation in one batched product."""

from functools import partial
from typing import Any

import torch

from unchoke.heads.ablation import train_members
from unchoke.heads.network import Network, Parameters, add_product, add_sum

_DEVIATION = 0.01  # of the first weights, as DINOv2's linear evaluation draws them


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Logits, float32 (N, C)."""
    part = {name: tensor.to(device) for name, tensor in tensors.items()}
    return ((x_ND.float() - part["mean"]) / part["scale"]) @ part["weight"] + part["bias"]


def _forward(parameters: Parameters, x_SBD: torch.Tensor) -> tuple[torch.Tensor]:
    """Logits (S, L, C, B) of S seeds, each with rows of its own, and L settings."""
    weight_SLCD, bias_SLC1 = parameters["weight"], parameters["bias"]
    product = torch.bmm(weight_SLCD.flatten(1, 2), x_SBD.transpose(1, 2))
    return (product.view(*weight_SLCD.shape[:3], -1) + bias_SLC1,)


def _add_gradients(
    parameters: Parameters,
    x_SBD: torch.Tensor,
    layers: tuple[torch.Tensor, ...],
    slope_SLCB: torch.Tensor,
    into: Parameters,
    beta: float,
) -> None:
    add_product(into["weight"].flatten(1, 2), slope_SLCB.flatten(1, 2), x_SBD, beta)
    add_sum(into["bias"], slope_SLCB, beta)


def _first_parameters(
    generator: torch.Generator, width: int, n_classes: int, settings: dict[str, Any]
) -> dict[str, torch.Tensor]:
    weight_DC = torch.empty(width, n_classes).normal_(0, _DEVIATION, generator=generator)
    return {"weight": weight_DC, "bias": torch.zeros(1, n_classes)}


NETWORK = Network(_first_parameters, _forward, _add_gradients)
fit = partial(train_members, NETWORK)
"""Train every learning rate, weight decay and seed; see ``train_members``."""
