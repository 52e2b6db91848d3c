"""A card that is not there: tensors with shapes, types and devices, and no values.

A tensor left on the host fails as it would on a real card. They have no values: arrays of them are zeros, numbers 1,
truths false. Autograd asks the driver for its streams, so that backward passes only leave zeros.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch._subclasses import FakeTensor, FakeTensorMode
from torch._subclasses.fake_tensor import unset_fake_temporarily

CARD = torch.device("cuda")


@contextmanager
def fake_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Within it, tensors are fake, and the card can be computed on."""
    own = {
        name: getattr(torch.Tensor, name) for name in ("numpy", "tolist", "__float__", "__bool__", "__int__", "item")
    }

    def numpy(tensor: torch.Tensor) -> NDArray[Any]:
        assert tensor.device.type == "cpu", "an array of a card's tensor"
        assert not tensor.requires_grad
        return np.zeros(tensor.shape, str(tensor.dtype).removeprefix("torch."))

    values = {"__float__": 1.0, "__bool__": False, "__int__": 1}
    for name, value in values.items():
        monkeypatch.setattr(torch.Tensor, name, _or(own[name], lambda _, value=value: value))
    monkeypatch.setattr(torch.Tensor, "numpy", _or(own["numpy"], numpy))
    # A card's numbers that torch itself asks for say whether gradients are infinite; the host's count AdamW's steps.
    monkeypatch.setattr(torch.Tensor, "item", _or(own["item"], lambda tensor: float(tensor.device.type == "cpu")))
    for kind in (torch.Tensor, FakeTensor):  # the latter has one of its own
        monkeypatch.setattr(kind, "tolist", _or(own["tolist"], lambda tensor: numpy(tensor.cpu()).tolist()))
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    monkeypatch.setattr(
        torch, "bincount", lambda found, minlength=1: found.new_zeros(minlength)
    )  # for its values' range
    monkeypatch.setattr(nn.Module, "to", moved)
    monkeypatch.setattr(ThreadPoolExecutor, "map", lambda _, work, *given: map(work, *given))  # in this thread's mode
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda _: None)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield CARD


def _or(own: Any, fake: Any) -> Any:
    def value(tensor: torch.Tensor) -> Any:
        if isinstance(tensor, FakeTensor):
            return fake(tensor)
        with unset_fake_temporarily():
            return own(tensor)

    return value


def backward(loss: torch.Tensor) -> None:
    """Zeros for the gradients of all parameters that a loss depends on."""
    nodes, seen = [loss.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [following for following, _ in node.next_functions]
        if hasattr(node, "variable"):
            node.variable.grad = torch.zeros_like(node.variable)


def moved(module: nn.Module, device: torch.device | None = None, **given: Any) -> nn.Module:
    """``Module.to`` with new parameters: fake ones cannot change their device."""
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if device is not None and tensor is not None:
                    tensors[name] = tensor.detach().to(device)
                    if isinstance(tensor, nn.Parameter):
                        tensors[name] = nn.Parameter(tensors[name])
    return module
