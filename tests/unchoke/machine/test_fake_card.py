"""Every stage that computes on a card, on one that is not there: no tensor stays on the host."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from fake_cards import fake_card
from small_features import clouds, rows_of
from small_networks import EVERYTHING, SETTINGS
from small_trainings import CLASSES, PIXELS, SIDE, fit_head, mask_settings

from unchoke.config.heads import Centroid, Knn, Linear, Logistic, Mlp, Ridge
from unchoke.encoders.encoder import PRECISIONS, Encoder
from unchoke.encoders.maps import find_maps
from unchoke.encoders.pools.pool import find_pool
from unchoke.heads.rows import Rows
from unchoke.heads.train import kind_of
from unchoke.machine.memory import Host
from unchoke.mask_heads import ablation, steps
from unchoke.mask_heads.batches import Held
from unchoke.mask_heads.head import predict
from unchoke.networks import member
from unchoke.networks.build import build_network
from unchoke.networks.checkpoint import TrainedNetwork
from unchoke.networks.images import HeldImages
from unchoke.networks.member import train_member
from unchoke.networks.network import Network
from unchoke.networks.task import NetworkTask

pytestmark = pytest.mark.usefixtures("one_thread")
CARD_FACTS = {"model": "m", "data_config": {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}}


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("model", ["test_vit", "test_resnet"])
def test_an_encoder(model: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = timm.create_model(model, num_classes=0).eval().requires_grad_(False)
    pools = {name: find_pool(name, network) for name in ("avg", "head")}
    side = network.pretrained_cfg["input_size"][-1]
    for given in ((pools, {}), ({}, find_maps(network, [16]))):
        with fake_card(monkeypatch) as card:
            encoder = Encoder(network.to(card), card, PRECISIONS[precision], side, CARD_FACTS, *given)
            found = encoder.encode_once(torch.zeros((3, 3, side, side), dtype=torch.uint8))
        assert set(found) == set(encoder.arrays) and {len(values) for values in found.values()} == {3}


SECTIONS = {
    "linear": Linear(kind="linear", epochs=2, choose_by="accuracy"),
    "balanced": Linear(
        kind="linear", epochs=2, choose_by="balanced_accuracy", class_weights="balanced", optimizer="sgd"
    ),
    "whole": Linear(kind="linear", epochs=2, choose_by="log_loss"),
    "mlp": Mlp(kind="mlp", hidden=5, epochs=2, choose_by="accuracy"),
    "ridge": Ridge(kind="ridge", choose_by="accuracy"),
    "knn": Knn(kind="knn", k=[3, 5], choose_by="accuracy"),
    "centroid": Centroid(kind="centroid", choose_by="accuracy"),
    "logistic": Logistic(kind="logistic", choose_by="accuracy"),
}


def rows_on(card: torch.device, seed: int) -> Rows:
    rows = rows_of(*clouds([20, 20, 9], 6, seed))
    return replace(rows, x_ND=rows.x_ND.to(card), y_N=rows.y_N.to(card))


@pytest.mark.parametrize("name", SECTIONS)
def test_a_head(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SECTIONS[name].model_dump()
    kind = kind_of(settings)
    with fake_card(monkeypatch) as card:
        train, val = (rows_on(card, seed) for seed in (0, 1))
        fitted = kind.fit(train, val, 3, settings, card)
        logits = kind.predict(fitted.replicates[0], settings, val.x_ND, card)
    assert logits.device.type == "cuda" and len(logits) == 49


def patches_of(kind: str, count: int) -> Held:
    rng = np.random.default_rng(0)
    label = rng.integers(0, CLASSES, (count, SIDE, SIDE), np.uint8)
    if kind == "unet":
        return Held(*PIXELS, {"pixels": rng.integers(0, 256, (count, 3, SIDE, SIDE), np.uint8)}, label)
    maps = {f"s{stride}": rng.normal(size=(count, 5, SIDE // stride, SIDE // stride)) for stride in (4, 8)}
    halved = {name: values.astype(np.float16) for name, values in maps.items()}
    return Held({"s4": 5, "s8": 5}, {"s4": 4, "s8": 8}, halved, label)


@pytest.mark.parametrize(
    ("kind", "loss", "precision"),
    [("linear", "focal", "float32"), ("decoder", "dice", "bfloat16"), ("unet", "cross_entropy", "float16")],
)
def test_a_mask_head(kind: str, loss: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps, the scores on val and predictions; counts of pixels alone depend on values."""

    def counts_of(label: torch.Tensor, predicted: torch.Tensor, n_classes: int) -> torch.Tensor:
        assert label.device.type == predicted.device.type == "cuda"
        return label.new_zeros((n_classes, n_classes), dtype=torch.int64)

    monkeypatch.setattr(steps, "counts_of", counts_of)
    monkeypatch.setattr(ablation, "refuse_unlabelled", lambda *_: None)
    settings = mask_settings(kind, loss=loss, precision=precision, learning_rates=[0.1])
    with fake_card(monkeypatch) as card:
        head = fit_head(settings, None, train=patches_of(kind, 5), val=patches_of(kind, 2), device=card)
        found = predict(head.modules(card), patches_of(kind, 3).maps, precision)
    assert found.shape == (3, CLASSES, SIDE, SIDE)


@pytest.mark.parametrize(
    ("cache", "precision", "optimizer"),
    [("activations", "float32", "adamw"), ("none", "bfloat16", "sgd"), ("pixels", "float16", "adamw")],
)
def test_a_network(cache: str, precision: str, optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training with its scores on val: of the last blocks, with the frozen ones before them, of a whole network."""
    settings = SETTINGS | EVERYTHING | {"precision": precision, "epochs": 1, "optimizer": optimizer}
    settings |= {"checkpointing": cache == "pixels", "blocks": "all" if cache == "pixels" else 1, "cache": cache}
    facts = {"model": "test_resnet", "image_size": 32, "trained": False, "data_config": CARD_FACTS["data_config"]}
    monkeypatch.setattr(member, "meter_of", lambda _: Host())
    with fake_card(monkeypatch) as card:
        held = [seen_by(cache, count) for count in (5, 3)]
        task = NetworkTask(partial(built, facts, settings), *held, settings, CLASSES, card, "data")
        trained = train_member(task, 0.1, 0.0, 0, 2)
        network = TrainedNetwork(Path(), settings, ["a", "b", "c"], facts, [trained.tensors], [], 2)
        if cache != "none":
            assert network.logits_of(held[1], card).shape == (1, 3, CLASSES)
    assert {tensor.device.type for tensor in trained.tensors.values()} == {"cpu"}


def built(facts: dict[str, Any], settings: dict[str, Any], seed: int) -> Network:
    return build_network(facts, settings, CLASSES, seed, None)


def seen_by(cache: str, count: int) -> HeldImages:
    shape = (192, 2, 2) if cache == "activations" else (3, 32, 32)
    x = np.zeros((1, count, *shape), np.float16 if cache == "activations" else np.uint8)
    return HeldImages(np.arange(count), np.arange(count) % CLASSES, x)
