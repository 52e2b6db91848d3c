"""The frozen part and the trained part of a network are the network, wherever it is cut."""

import copy
import functools
from pathlib import Path

import pytest
import timm
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from unchoke.encoders.cut import Parts, block_count, blocks_of, cut_network, cuts_of
from unchoke.errors import UnchokeError
from unchoke.networks.layers import train_mode

SMALL = {"embed_dim": 32, "num_heads": 2, "depth": 3}
FAMILIES = {
    "vit": ("test_vit", {"img_size": 32}, 32, 6),
    "deit": ("deit_tiny_distilled_patch16_224", {"img_size": 32, **SMALL}, 32, 3),
    "dinov2": ("vit_small_patch14_reg4_dinov2", {"img_size": 28, **SMALL}, 28, 3),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "window_size": 2, "embed_dim": 16, "depths": (2, 2), "num_heads": (1, 2)},
        32,
        4,
    ),
    "convnext": ("convnext_atto", {"depths": (1, 1, 2, 1), "dims": (8, 8, 16, 16)}, 32, 5),
    "resnet": ("test_resnet", {"zero_init_last": False}, 32, 4),
    "regnet": ("regnetx_002", {}, 32, 13),
    "efficientnet": ("tf_efficientnet_lite0", {}, 32, 16),
    "mobilenetv3": ("mobilenetv3_small_050", {}, 32, 11),
    "eva": ("eva02_tiny_patch14_224", {"img_size": 28, **SMALL}, 28, 3),
    "maxvit": ("maxvit_pico_rw_256", {"img_size": 64, "embed_dim": (32,) * 4, "depths": (1, 1, 1, 1)}, 64, 4),
    "mixer": ("mixer_s32_224", {"img_size": 64}, 64, 8),
}
"""By family, a model of timm, what makes it small, the size of its images, px, and the blocks that it has."""


@functools.cache
def built(family: str, **settings: float) -> nn.Module:
    name, small, _, _ = FAMILIES[family]
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=5, **small, **settings).eval()


def model_of(family: str, **settings: float) -> nn.Module:
    return copy.deepcopy(built(family, **settings))


def images_of(family: str, batch: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    size = FAMILIES[family][2]
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(batch), dtype=dtype)


def cut(family: str, blocks: int, **settings: float) -> tuple[nn.Module, Parts]:
    model = model_of(family, **settings)
    return model, cut_network(model, blocks, FAMILIES[family][2])


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_both_parts_are_the_model_bit_for_bit(family: str) -> None:
    count = FAMILIES[family][3]
    for blocks in {1, count // 2 + 1, count}:
        model, parts = cut(family, blocks)
        for batch in (1, 3):
            x = images_of(family, batch)
            activations = parts.frozen(x)
            kept = activations.clone()
            assert activations.shape == (batch, *parts.cut.shape)
            assert torch.equal(parts.trained(activations), model(x))
            assert torch.equal(activations, kept)
        x = images_of(family, 2, torch.float64)
        expected = model.double()(x)
        assert expected.dtype == torch.float64
        assert torch.equal(parts.trained(parts.frozen(x)), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_hold_the_models_parameters_by_its_names_and_each_once(family: str) -> None:
    """Also in a copy, which an average of the weights is. Constants that timm does not save are not saved here."""
    model, parts = cut(family, 2)
    whole = model.state_dict(keep_vars=True)
    halves = [part.state_dict(keep_vars=True) for part in (parts.frozen, parts.trained)]
    assert all(whole[name] is value for half in halves for name, value in half.items())
    learnt = [{name for name, _ in part.named_parameters()} for part in (parts.frozen, parts.trained)]
    assert not learnt[0] & learnt[1]
    assert learnt[0] | learnt[1] == {name for name, _ in model.named_parameters()}
    assert {name for name, value in model.named_parameters() if value.requires_grad} == learnt[1]
    assert copy.deepcopy(parts.trained).state_dict().keys() == halves[1].keys()


def test_a_parameter_that_is_read_before_the_cut_and_used_behind_it_is_trained() -> None:
    """CaiT spreads its class token over the batch before its first block, and joins it to the patches at the end."""
    small = {"img_size": 32, "embed_dim": 16, "num_heads": 2, "depth": 2}
    model = timm.create_model("cait_xxs24_224", num_classes=5, **small).eval()
    parts = cut_network(model, 2, 32)
    assert parts.cut.boundary == "blocks.1"
    assert parts.trained.cls_token is model.cls_token
    assert model.cls_token.requires_grad
    for batch in (1, 3):
        x = images_of("vit", batch)
        assert torch.equal(parts.trained(parts.frozen(x)), model(x))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_trained_part_holds_the_last_blocks_and_what_is_behind_them(family: str) -> None:
    model, parts = cut(family, 2)
    names = blocks_of(model)
    assert len(names) == block_count(model) == FAMILIES[family][3]
    assert parts.cut.blocks == 2
    modules = dict(parts.trained.named_modules())
    assert set(names) & modules.keys() == set(names[-2:])
    assert all(modules[name] is model.get_submodule(name) for name in names[-2:])
    classifier = model.pretrained_cfg["classifier"]
    assert all(name in modules for name in ([classifier] if isinstance(classifier, str) else classifier))


@pytest.mark.parametrize("family", ["vit", "swin", "efficientnet", "maxvit", "resnet"])
def test_drop_path_is_on_in_training_alone(family: str) -> None:
    _, parts = cut(family, 2, drop_path_rate=0.5)
    activations = parts.frozen(images_of(family, 8))
    calm = parts.trained(activations)
    train_mode(parts.trained, frozen_norm=True)
    first, second = parts.trained(activations), parts.trained(activations)
    assert not torch.allclose(first, calm)
    assert not torch.allclose(first, second)
    assert torch.equal(parts.trained.eval()(activations), calm)


@pytest.mark.parametrize("family", ["vit", "swin", "efficientnet", "maxvit", "resnet"])
def test_dropout_before_the_classifier_draws_what_it_draws_in_the_model(family: str) -> None:
    """Some models call a function there, with their own state of training as an argument."""
    model, parts = cut(family, 2, drop_rate=0.5, drop_path_rate=0.0)
    x = images_of(family, 4)
    calm = model(x)
    train_mode(model, frozen_norm=True)
    torch.manual_seed(1)
    dropped = model(x)
    assert not torch.allclose(dropped, calm)
    train_mode(parts.trained, frozen_norm=True)
    torch.manual_seed(1)
    assert torch.equal(parts.trained(parts.frozen(x)), dropped)
    assert torch.equal(parts.trained.eval()(parts.frozen(x)), calm)


def test_the_frozen_part_stays_in_evaluation_and_gives_no_gradient() -> None:
    model, parts = cut("swin", 1, drop_path_rate=0.5)
    x = images_of("swin", 2)
    calm = parts.frozen(x)
    model.train()
    activations = parts.frozen(x.requires_grad_())
    assert torch.equal(activations, calm)
    assert not activations.requires_grad
    parts.trained(activations).sum().backward()
    assert all(value.grad is not None for value in parts.trained.parameters())


def test_a_trained_part_goes_back_into_a_file_that_timm_loads(tmp_path: Path) -> None:
    _, parts = cut("efficientnet", 2)
    with torch.no_grad():
        for value in parts.trained.parameters():
            value.add_(0.125)
        x = images_of("efficientnet", 2)
        expected = parts.trained(parts.frozen(x))
    torch.save(parts.trained.state_dict(), tmp_path / "trained.pt")
    fresh = model_of("efficientnet")
    fresh.load_state_dict(fresh.state_dict() | torch.load(tmp_path / "trained.pt", weights_only=True))
    torch.save(fresh.state_dict(), tmp_path / "whole.pth")
    loaded = timm.create_model("tf_efficientnet_lite0", num_classes=5, checkpoint_path=str(tmp_path / "whole.pth"))
    with torch.no_grad():
        assert torch.equal(loaded.eval()(x), expected)


def test_the_boundary_and_the_shape_are_those_of_the_tensor_between_the_blocks() -> None:
    """Lite0's strides are 2 ** 5; its blocks have 192 channels before the last, and 320 in the last."""
    (last, before, *_, first) = cuts_of(model_of("efficientnet"), (64, 96))
    assert (last.blocks, last.boundary, last.shape) == (1, "blocks.5.3", (192, 2, 3))
    assert (before.blocks, before.boundary, before.shape) == (2, "blocks.5.2", (192, 2, 3))
    assert (first.blocks, first.boundary, first.shape) == (16, "bn1", (32, 32, 48))


@pytest.mark.parametrize("family", ["vit", "swin", "efficientnet"])
def test_cuts_are_found_without_values(family: str) -> None:
    expected = cuts_of(model_of(family), FAMILIES[family][2])
    model = model_of(family).to("meta")
    assert cuts_of(model, FAMILIES[family][2]) == expected
    parts = cut_network(model, 1, FAMILIES[family][2])
    assert parts.trained(torch.empty(2, *parts.cut.shape, device="meta")).shape == (2, 5)


def test_cuts_are_made_of_fake_tensors() -> None:
    model, x = model_of("vit"), images_of("vit", 3)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        parts = cut_network(model, 1, 32)
        assert parts.trained(parts.frozen(fake.from_tensor(x))).shape == (3, 5)


def test_where_branches_lie_side_by_side_the_cuts_that_there_are_are_named() -> None:
    """HRNet's branches begin behind its first two blocks of 23."""
    with torch.device("meta"):
        model = timm.create_model("hrnet_w18_small", num_classes=5)
    assert block_count(model) == 23
    assert [found.blocks for found in cuts_of(model, 64)] == [22, 23]
    with pytest.raises(UnchokeError, match=r"(?s)more than one tensor.*blocks: 1 of 23.*expected: 22 to 23, or all"):
        cut_network(model, 1, 64)


@pytest.mark.parametrize("blocks", [-1, 0, 5])
def test_a_count_of_blocks_that_there_are_not_is_answered_with_the_one_there_is(blocks: int) -> None:
    with pytest.raises(UnchokeError, match=rf"(?s)found: +blocks: {blocks}\n.*1 to 4, as many blocks as ResNet has"):
        cut("resnet", blocks)


def test_a_network_without_blocks_is_refused() -> None:
    with torch.device("meta"):
        model = timm.create_model("vgg11", num_classes=5)
    with pytest.raises(UnchokeError, match="no blocks"):
        cut_network(model, 1, 32)


def test_a_size_that_the_model_cannot_see_is_refused() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)cannot be run on images of this size.*48 × 48 px"):
        cut_network(model_of("deit"), 1, 48)


def test_a_network_that_decides_by_its_values_is_refused() -> None:
    class Undecided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer1 = model_of("resnet").layer1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer1(x) if x.sum() > 0 else x

    with pytest.raises(UnchokeError, match="cannot follow"):
        cut_network(Undecided(), 1, 32)


def test_activations_of_another_cut_are_refused() -> None:
    _, parts = cut("resnet", 1)
    with pytest.raises(UnchokeError, match="do not fit"):
        parts.trained(torch.zeros(2, 3, 4, 5))
