"""The receptive field of a head behind its encoder: the gradient reaches as far, and no farther."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.maps import feature_maps
from unchoke.encoders.weights import fetch_weights
from unchoke.mask_heads.head import TrainedMaskHead, kind_of
from unchoke.mask_heads.train import receptive_radius_px

CPU = torch.device("cpu")


def head_of(kind: str, channels: dict[str, int], strides: dict[str, int], **settings: Any) -> TrainedMaskHead:
    torch.manual_seed(0)
    settings = {"kind": kind, "width": 4, **settings}
    tensors = kind_of(settings).build(channels, strides, 2, settings).state_dict()
    curves: dict[str, Any] = {}
    return TrainedMaskHead(settings, 2, channels, strides, [tensors], {}, {}, curves, 1, 0.0)


def encoder_of(folder: Path, model: str, strides: list[int], size: int = 64) -> Encoder:
    weights, card = folder / f"{model}.safetensors", folder / f"{model}.json"
    fetch_weights(model, "untrained", 0, weights, card)
    return load_encoder(weights, card, size, [], CPU, "float16", strides)


def radius_of_gradients(head: TrainedMaskHead, encoder: Encoder | None) -> int:
    """Largest distance from an output near the middle to an input that its gradient is not 0 for."""
    x = torch.rand(1, 3, 96, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x.requires_grad_(True)
    network = head.modules()[0].double()
    logits = network({"pixels": x} if encoder is None else feature_maps(encoder.model.double(), x, encoder.maps))
    found = 0
    for place in range(48, 52):  # a period of stride 4
        (gradient,) = torch.autograd.grad(logits[0, :, place, place].sum(), x, retain_graph=True)
        seen = torch.nonzero(gradient[0].abs().sum(0))
        found = max(found, int((seen - place).abs().max()))
    return found


@pytest.mark.parametrize(("stride", "hidden_px"), [(2, 0), (4, 8)])
def test_a_head_behind_an_encoder_sees_as_far_as_its_gradients(tmp_path: Path, stride: int, hidden_px: int) -> None:
    """But for what a maximum hides, which passes one gradient on of all that it sees."""
    encoder = encoder_of(tmp_path, "resnet10t", [stride])
    head = head_of("linear", {f"s{stride}": 64}, {f"s{stride}": stride})
    found, gradients = receptive_radius_px(head, encoder, 64), radius_of_gradients(head, encoder)
    assert found is not None and gradients <= found <= gradients + hidden_px


def test_a_unet_sees_as_far_as_its_gradients() -> None:
    head = head_of("unet", {"pixels": 3}, {"pixels": 1})
    found, gradients = receptive_radius_px(head, None, 64), radius_of_gradients(head, None)
    assert found is not None and gradients <= found <= gradients + 4


def test_a_coarser_map_sees_farther(tmp_path: Path) -> None:
    heads = {s: head_of("linear", {f"s{s}": width}, {f"s{s}": s}) for s, width in ((4, 64), (8, 128))}
    fine, coarse = (receptive_radius_px(head, encoder_of(tmp_path, "resnet10t", [s]), 64) for s, head in heads.items())
    assert fine is not None and coarse is not None and fine < coarse


def test_attention_sees_all_of_the_patch(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path, "test_vit", [16])
    assert receptive_radius_px(head_of("linear", {"s16": 64}, {"s16": 16}), encoder, 64) is None


class Normed(nn.Module):
    """A model as timm has them, of one map, with a norm over all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 4, 4), nn.GroupNorm(2, 4)

    def forward_intermediates(self, x: torch.Tensor, **_: Any) -> list[torch.Tensor]:
        return [self.norm(self.stem(x))]


def test_norms_over_the_whole_patch_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    card = {"data_config": {"mean": [0.5] * 3, "std": [0.2] * 3}}
    encoder = Encoder(Normed().eval(), CPU, torch.float32, 64, card, {}, {"s4": 0})
    assert receptive_radius_px(head_of("linear", {"s4": 4}, {"s4": 4}), encoder, 64) is None
    assert capsys.readouterr().out.startswith("warning: norm normalise over the whole patch")
