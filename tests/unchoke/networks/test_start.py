"""Starts from probes: the network then says what the probe says of the same images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from unchoke.encoders.pools.pool import feature_map, find_pool
from unchoke.errors import UnchokeError
from unchoke.heads.checkpoint import Head
from unchoke.networks import small_cnn  # noqa: F401 timm knows it from here on
from unchoke.networks.network import Network
from unchoke.networks.start import pools_of, refuse_unfit_start, start_from

pytestmark = pytest.mark.usefixtures("one_thread")
ENCODER = {"model": "small_cnn", "weights_sha256": "ab", "image_size": 32, "jpeg_draft": True}
CLASSES = ["ash", "beech", "cedar"]


def head_of(kind: str, width: int, pool: str = "avg", replicates: int = 2, **given: Any) -> Head:
    generator = torch.Generator().manual_seed(1)

    def tensors() -> dict[str, torch.Tensor]:
        shapes = {"logistic": ((3, width), (3,)), "linear": ((width, 3), (1, 3))}[kind]
        weight, bias = (torch.randn(shape, generator=generator) for shape in shapes)
        mean, scale = torch.randn(width, generator=generator), torch.rand(width, generator=generator) + 0.5
        return {"weight": weight, "bias": bias, "mean": mean, "scale": scale}

    settings = {"kind": kind, "pool": pool, **given}
    found = [tensors() for _ in range(replicates)]
    return Head(Path("probe.safetensors"), settings, CLASSES, ENCODER, found, [1.0] * replicates)


def network_of(model: str, **given: Any) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = timm.create_model(model, num_classes=3, **given)
    return Network(built, built, classifier=built.get_classifier())


@pytest.mark.parametrize("kind", ["logistic", "linear"])
@pytest.mark.parametrize(
    ("model", "given", "pool"),
    [
        ("small_cnn", {}, "avg"),
        ("resnet10t", {}, "head"),
        ("vit_tiny_patch16_224", {"depth": 1, "img_size": 32}, "cls"),
    ],
)
def test_the_network_begins_with_the_mean_logits_of_the_probe(
    kind: str, model: str, given: dict[str, Any], pool: str
) -> None:
    network = network_of(model, **given)
    head = head_of(kind, network.model.num_features, pool)
    start_from(network, head)
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        features = find_pool(pool, network.model)(feature_map(network.model, network.model.forward_features(x)))
        logits = network.model(x)
    np.testing.assert_allclose(logits, head.logits(features.numpy()).mean(0), rtol=1e-3, atol=1e-3)


def test_a_probe_on_another_pool_is_refused_with_those_that_fit() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)pool max.*pool avg or head.*train a head with pool: avg"):
        start_from(network_of("small_cnn"), head_of("linear", 256, "max"))
    vit = network_of("vit_tiny_patch16_224", depth=1, img_size=32)
    assert pools_of(vit.model, vit.model.head, 32) == ["cls", "head"]


def test_a_classifier_that_is_not_linear_is_refused() -> None:
    network = network_of("small_cnn")
    odd = Network(network.model, network.trained, classifier=nn.Sequential(nn.Linear(256, 3)))
    with pytest.raises(UnchokeError, match=r"(?s)not one linear layer.*Sequential.*start: null"):
        start_from(odd, head_of("linear", 256))


@pytest.mark.parametrize(
    ("facts", "classes", "kind", "found"),
    [
        ({}, ["ash", "beech"], "linear", "classes ash, beech, cedar"),
        ({"weights_sha256": "cd"}, CLASSES, "linear", "weights_sha256 ab.*weights_sha256 cd"),
        ({"image_size": 64}, CLASSES, "linear", "image_size 32.*image_size 64"),
        ({}, CLASSES, "knn", "kind knn.*logistic, linear"),
    ],
)
def test_a_head_of_another_kind_encoder_or_classes_is_refused(
    facts: dict[str, Any], classes: list[str], kind: str, found: str
) -> None:
    head = head_of("linear", 256)
    refuse_unfit_start(head, ENCODER, CLASSES)
    head.settings["kind"] = kind
    with pytest.raises(UnchokeError, match=rf"(?s)cannot start.*{found}.*probe.safetensors.*start: null"):
        refuse_unfit_start(head, ENCODER | facts, classes)
