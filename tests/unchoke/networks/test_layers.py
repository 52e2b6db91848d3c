"""Masks of drop-path and dropout: an image's own, whatever micro-batch it is in; batch norm that is recomputed."""

import copy

import numpy as np
import pytest
import timm
import torch
from torch import nn

from unchoke.errors import UnchokeError
from unchoke.networks.layers import (
    Draws,
    KeyedDropout,
    batch_norms,
    drop_inputs,
    key_layers,
    recompute,
    train_mode,
)

pytestmark = pytest.mark.usefixtures("one_thread")
IDS = np.array([7, 3, 900, 12, 5])


class Block(nn.Module):
    """A residual block with batch norm and drop-path."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.drop_path = timm.layers.DropPath(0.4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.drop_path(self.norm(self.conv(x)).relu())


def images(seed: int = 0) -> torch.Tensor:
    return torch.randn(len(IDS), 4, 6, 6, generator=torch.Generator().manual_seed(seed))


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(Block(), Block(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(144, 3))


@pytest.mark.parametrize("rate", [0.1, 0.7])
def test_masks_have_their_rate_and_keep_the_mean(rate: float) -> None:
    ids = np.arange(200)
    layer = KeyedDropout(rate, "x", Draws(1, 5, ids), whole_image=False).train()
    x = layer(torch.ones(200, 10, 5))
    assert sorted(x.unique().tolist()) == [0, pytest.approx(1 / (1 - rate))]
    assert float(x.mean()) == pytest.approx(1, abs=0.05)
    path = KeyedDropout(rate, "x", Draws(1, 5, ids), whole_image=True).train()(torch.ones(200, 10, 5))
    assert all(len(row.unique()) == 1 for row in path)
    assert float((path[:, 0, 0] == 0).float().mean()) == pytest.approx(rate, abs=0.1)


def test_a_batch_in_any_micro_batches_has_the_same_masks() -> None:
    draws, keyed = Draws(3), network()
    key_layers(keyed, draws)
    train_mode(keyed, frozen_norm=True)
    found = []
    for size in (5, 2, 1):
        logits = []
        for start in range(0, 5, size):
            draws.see(4, IDS[start : start + size])
            logits.append(keyed(images()[start : start + size]))
        found.append(torch.cat(logits))
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])
    draws.see(5, IDS)
    assert not torch.allclose(keyed(images()), found[0])
    keyed.eval()
    torch.testing.assert_close(keyed(images()), network().eval()(images()), rtol=0, atol=0)


def test_a_batch_norm_that_is_recomputed_is_updated_once_and_the_gradient_is_the_same() -> None:
    found = []
    for again in (False, True):
        draws, keyed = Draws(3), network()
        key_layers(keyed, draws)
        if again:
            recompute(list(keyed)[:2])
        train_mode(keyed, frozen_norm=False)
        draws.see(1, IDS)
        for seed in (0, 1):
            keyed(images(seed)).square().sum().backward()
        found.append([*(part.grad for part in keyed.parameters()), *keyed.buffers()])
        assert [int(norm.num_batches_tracked) for norm in batch_norms(keyed)] == [2, 2]
    for kept, recomputed in zip(*found, strict=True):
        assert torch.equal(kept, recomputed)


def test_recomputation_keeps_fewer_numbers() -> None:
    """What autograd saves, counted by its own hooks."""
    kept = []
    for again in (False, True):
        plain = network()
        if again:
            recompute(list(plain)[:2])
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x):
            plain.train()(images())
        kept.append(sum(sizes))
    assert kept[1] < 0.6 * kept[0]


def test_frozen_batch_norm_keeps_its_statistics_and_the_rest_trains() -> None:
    plain = network()
    before = copy.deepcopy(plain.state_dict())
    train_mode(plain, frozen_norm=True)
    plain(images())
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.state_dict().items())
    assert plain[3].training and not any(norm.training for norm in batch_norms(plain))


@pytest.mark.parametrize(
    ("model", "layers"), [("vit_tiny_patch16_224", 22), ("resnet10t", 3), ("tf_efficientnet_lite0", 15)]
)
def test_the_drop_paths_of_timms_models_are_keyed(model: str, layers: int) -> None:
    built = timm.create_model(model, num_classes=2, drop_path_rate=0.2)
    names = list(built.state_dict())
    key_layers(built, Draws(0))
    keyed = [module for module in built.modules() if isinstance(module, KeyedDropout)]
    assert len(keyed) == layers
    assert max(layer.rate for layer in keyed) == pytest.approx(0.2, abs=0.03)
    assert list(built.state_dict()) == names


@pytest.mark.parametrize("layer", [nn.Dropout2d(0.2), nn.AlphaDropout(0.1), timm.layers.DropBlock2d(0.1)])
def test_a_layer_that_draws_by_itself_is_refused(layer: nn.Module) -> None:
    with pytest.raises(UnchokeError, match=rf"(?s)micro-batch.*{type(layer).__name__} '1'.*another model"):
        key_layers(nn.Sequential(nn.Linear(2, 2), layer), Draws(0))


def test_inputs_of_the_classifier_are_left_out_in_training_alone() -> None:
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2, depth=1, img_size=32)
    names, seen = list(model.state_dict()), []
    drop_inputs([model.get_classifier()], 0.5, Draws(0, 0, IDS))
    model.get_classifier().register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for mode in (True, False):
        model.train(mode)(torch.randn(5, 3, 32, 32))
    assert [bool((x == 0).any()) for x in seen] == [True, False]
    assert list(model.state_dict()) == names
