"""Groups, moments and means: against torch's own steps, and timm's rates by layer."""

import pytest
import timm
import torch
from timm.utils import ModelEmaV3
from torch import nn

from unchoke.networks import small_cnn
from unchoke.networks.optimizer import Average, make_optimizer, parameters_of, reserve, set_rate

pytestmark = pytest.mark.usefixtures("one_thread")


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model(small_cnn.SMALL_CNN, num_classes=3)


def settings(kind: str, **given: float) -> dict[str, object]:
    return {"optimizer": kind, "momentum": 0.9, "layer_decay": 1.0, **given}


def train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> dict[str, torch.Tensor]:
    for step in range(steps):
        x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(step))
        network(x).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return network.state_dict()


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_steps_are_torchs_without_decay_of_norms_and_biases(kind: str) -> None:
    ours, theirs = model(), model()
    optimizer = make_optimizer(ours, settings(kind), 0.1)
    set_rate(optimizer, 0.01)
    weights = [part for part in theirs.parameters() if part.ndim > 1]
    others = [part for part in theirs.parameters() if part.ndim <= 1]
    groups = [{"params": others, "weight_decay": 0.0}, {"params": weights, "weight_decay": 0.1}]
    plain = torch.optim.SGD(groups, 0.01, 0.9) if kind == "sgd" else torch.optim.AdamW(groups, 0.01, (0.9, 0.999))
    torch.testing.assert_close(train(ours, optimizer), train(theirs, plain), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_step_creates_no_state(kind: str) -> None:
    network = model()
    optimizer = make_optimizer(network, settings(kind), 0.0)
    set_rate(optimizer, 0.01)
    before = {id(part): set(optimizer.state[part]) for part in parameters_of(optimizer)}
    places = [tensor.data_ptr() for part in parameters_of(optimizer) for tensor in optimizer.state[part].values()]
    reserve(optimizer)
    train(network, optimizer, 1)
    assert {id(part): set(optimizer.state[part]) for part in parameters_of(optimizer)} == before
    after = [tensor.data_ptr() for part in parameters_of(optimizer) for tensor in optimizer.state[part].values()]
    assert after == places


def test_a_layer_has_its_share_of_the_rate_and_a_frozen_one_none() -> None:
    network = model()
    network.blocks[:2].requires_grad_(False)
    optimizer = make_optimizer(network, settings("adamw", layer_decay=0.5), 0.1)
    set_rate(optimizer, 0.02)
    rate_of = {id(part): group["lr"] for group in optimizer.param_groups for part in group["params"]}
    rates = {name: rate_of.get(id(part)) for name, part in network.named_parameters()}
    assert rates["fc.weight"] == 0.02 and rates["blocks.3.conv.weight"] == 0.01
    assert rates["blocks.2.norm.bias"] == 0.005 and rates["blocks.1.conv.weight"] is None


def test_the_mean_of_the_weights_is_timms() -> None:
    network = model()
    ours, theirs = Average(network, 0.9), ModelEmaV3(network, 0.9, use_warmup=True)
    optimizer = make_optimizer(network, settings("sgd"), 0.0)
    set_rate(optimizer, 1e-3)
    for step in range(30):
        train(network, optimizer, 1)
        ours.update(network, step)
        with torch.no_grad():
            decay = min(0.9, (1 + step) / (10 + step))
            theirs.decay, theirs.use_warmup = decay, False
            theirs.update(network)
    torch.testing.assert_close(ours.tensors, dict(theirs.module.state_dict()), rtol=1e-5, atol=1e-6)
