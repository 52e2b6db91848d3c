"""What training asks of a network's layers: slower learning at the front, and batch norm that stays as it is."""

from typing import Any

from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import nn

from unchoke.errors import UnchokeError


def layer_scales(model: nn.Module, decay: float) -> dict[str, float]:
    """Factors of the learning rate by name, of all parameters of a timm model that need a gradient.

    decay: in (0, 1]; layer i of n, counted from 0 in the order of the model's ``group_matcher``, has
    ``decay ** (n - 1 - i)``: the classifier 1, each layer before it less. Source: timm's ``param_groups_layer_decay``,
    after BEiT (arXiv 2106.08254). Raises UnchokeError where `decay` is outside.
    """
    if not 0 < decay <= 1:
        raise UnchokeError(
            "The decay of the learning rate from layer to layer is not possible.",
            found=str(decay),
            expected="above 0, at most 1",
        )
    groups = param_groups_layer_decay(model, layer_decay=decay)
    scales = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    named = model.named_parameters(remove_duplicate=False)  # a cut may leave the second name of a shared one
    return {name: scales[id(parameter)] for name, parameter in named if id(parameter) in scales}


def frozen_batch_norm(module: nn.Module) -> nn.Module:
    """`module`, whose batch norms normalise with their running statistics from now on and never update them.

    Also in training, whenever ``train()`` is called; their weights and biases may learn. A copy keeps this.
    """
    for layer in module.modules():
        if hasattr(layer, "running_var") and evaluate not in layer._forward_pre_hooks.values():
            layer.register_forward_pre_hook(evaluate)
            layer.eval()
    return module


def evaluate(layer: nn.Module, inputs: Any) -> None:
    """Before each call: leave training, into which ``train()`` of a module above may have put the layer."""
    layer.eval()
