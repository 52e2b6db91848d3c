"""Learning rates fall from the classifier to the front in timm's order; frozen batch norm never moves."""

import copy
import itertools

import pytest
import timm
import torch
from torch import nn

from unchoke.errors import UnchokeError
from unchoke.networks.cut import cut_network
from unchoke.networks.layers import frozen_batch_norm, layer_scales


def test_each_block_learns_slower_than_the_one_behind_it() -> None:
    """Of ViT, as in BEiT: the classifier 1, norm and last block decay, ..., embedding the least."""
    model = timm.create_model("test_vit", num_classes=5)
    scales = layer_scales(model, 0.5)
    assert scales.keys() == dict(model.named_parameters()).keys()
    assert scales["head.weight"] == 1
    blocks = [scales[f"blocks.{block}.attn.qkv.weight"] for block in range(6)]
    assert [after / before for before, after in itertools.pairwise(blocks)] == [2] * 5
    assert scales["cls_token"] == scales["patch_embed.proj.weight"] == blocks[0] / 2
    assert blocks[-1] in (0.5, 1)
    assert all(scale == scales["blocks.3.norm1.bias"] for name, scale in scales.items() if name.startswith("blocks.3."))


def test_of_a_cut_network_the_trained_parameters_have_a_factor() -> None:
    model = timm.create_model("test_efficientnet", num_classes=5)
    whole = layer_scales(model, 0.75)
    trained = cut_network(model, 2, 64).trained
    scales = layer_scales(model, 0.75)
    assert scales == {name: whole[name] for name, _ in trained.named_parameters()}


def test_a_parameter_of_two_names_has_its_factor_under_both() -> None:
    """CoaT's blocks share their position encodings, which the model holds as ``cpe`` besides."""
    with torch.device("meta"):
        model = timm.create_model("coat_lite_tiny", num_classes=5)
    trained = cut_network(model, 2, 224).trained
    scales = layer_scales(model, 0.5)
    assert {name for name, value in trained.named_parameters() if value.requires_grad} <= scales.keys()
    assert scales["cpe4.proj.weight"] == scales["serial_blocks4.0.cpe.proj.weight"]


@pytest.mark.parametrize("decay", [0.0, -1.0, 1.5, float("nan")])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(UnchokeError, match="at most 1"):
        layer_scales(nn.Linear(1, 1), decay)


def test_frozen_batch_norm_keeps_its_statistics_in_training_and_in_a_copy() -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=5, drop_path_rate=0.5).eval()
    x = torch.rand(4, 3, 32, 32)
    for module in (frozen_batch_norm(model), copy.deepcopy(model)):
        before = copy.deepcopy(module.state_dict())
        module.train()
        torch.manual_seed(1)
        found = module(x)
        found.sum().backward()
        assert module.layer1[0].training
        assert module.layer1[0].bn1.weight.grad is not None
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    norm = frozen_batch_norm(nn.Sequential(nn.BatchNorm2d(3))).train()
    assert torch.equal(norm(x), norm.eval()(x))


def test_batch_norm_that_is_frozen_twice_asks_once() -> None:
    layer = frozen_batch_norm(frozen_batch_norm(nn.BatchNorm2d(3)))
    assert len(layer._forward_pre_hooks) == 1
