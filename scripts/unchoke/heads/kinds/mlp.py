"""Small perceptron by gradient steps: one hidden layer with ReLU, every member of the ablation in batched products."""

from functools import partial
from typing import Any

import torch

from unchoke.heads.ablation import train_members
from unchoke.heads.network import Network, Parameters, add_product, add_sum


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Logits, float32 (N, C)."""
    part = {name: tensor.to(device) for name, tensor in tensors.items()}
    x_ND = (x_ND.float() - part["mean"]) / part["scale"]
    hidden_NH = torch.relu(x_ND @ part["hidden_weight"] + part["hidden_bias"])
    return hidden_NH @ part["weight"] + part["bias"]


def _forward(parameters: Parameters, x_SBD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden units (S, L, H, B) and logits (S, L, C, B) of S seeds, each with rows of its own, and L settings."""
    first_SLHD, second_SLCH = parameters["hidden_weight"], parameters["weight"]
    product = torch.bmm(first_SLHD.flatten(1, 2), x_SBD.transpose(1, 2))
    hidden_SLHB = torch.relu(product.view(*first_SLHD.shape[:3], -1) + parameters["hidden_bias"])
    return hidden_SLHB, second_SLCH @ hidden_SLHB + parameters["bias"]


def _add_gradients(
    parameters: Parameters,
    x_SBD: torch.Tensor,
    layers: tuple[torch.Tensor, ...],
    slope_SLCB: torch.Tensor,
    into: Parameters,
    beta: float,
) -> None:
    hidden_SLHB, _ = layers
    slope_SLHB = (parameters["weight"].transpose(2, 3) @ slope_SLCB).mul_(hidden_SLHB > 0)
    add_product(into["weight"].flatten(0, 1), slope_SLCB.flatten(0, 1), hidden_SLHB.flatten(0, 1).transpose(1, 2), beta)
    add_sum(into["bias"], slope_SLCB, beta)
    add_product(into["hidden_weight"].flatten(1, 2), slope_SLHB.flatten(1, 2), x_SBD, beta)
    add_sum(into["hidden_bias"], slope_SLHB, beta)


def _first_parameters(
    generator: torch.Generator, width: int, n_classes: int, settings: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """Weights and biases uniform within 1 / sqrt(inputs), as torch.nn.Linear draws them."""
    hidden = settings["hidden"]

    def uniform(inputs: int, *shape: int) -> torch.Tensor:
        return torch.empty(shape).uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)

    return {
        "hidden_weight": uniform(width, width, hidden),
        "hidden_bias": uniform(width, 1, hidden),
        "weight": uniform(hidden, hidden, n_classes),
        "bias": uniform(hidden, 1, n_classes),
    }


NETWORK = Network(_first_parameters, _forward, _add_gradients)
fit = partial(train_members, NETWORK)
"""Train every learning rate, weight decay and seed; see ``train_members``."""
