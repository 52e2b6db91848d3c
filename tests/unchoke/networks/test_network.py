"""Networks of timm in training: cut and whole, from activations and through the frozen part."""

from typing import Any

import numpy as np
import pytest
import torch
from small_networks import CPU, SETTINGS

from unchoke.networks.build import build_network
from unchoke.networks.images import HeldImages
from unchoke.networks.member import Member, train_member
from unchoke.networks.task import NetworkTask

pytestmark = pytest.mark.usefixtures("one_thread")
LABELS = np.arange(12) % 3


def facts_of(model: str, image_size: int, *, trained: bool) -> dict[str, Any]:
    data = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
    return {"model": model, "image_size": image_size, "trained": trained, "data_config": data}


def fit(facts: dict[str, Any], x: np.ndarray, micro_batch: int = 4, **given: Any) -> Member:
    settings = SETTINGS | {"epochs": 2, "batch_size": 4, **given}
    held = HeldImages(np.arange(12) * 7, LABELS, x[None])
    task = NetworkTask(
        lambda seed: build_network(facts, settings, 3, seed, None), held, held, settings, 3, CPU, "data", chunk_size=4
    )
    return train_member(task, 0.003, 0.05, 0, micro_batch)


def pixels(size: int) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(12, 3, size, size)) * 30 + 60 * LABELS[:, None, None, None] + 60
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("model", ["resnet10t", "vit_tiny_patch16_224"])
def test_from_activations_a_cut_network_learns_as_through_its_frozen_part(model: str) -> None:
    facts, x = facts_of(model, 32, trained=True), pixels(32)
    network = build_network(facts, {**SETTINGS, "blocks": 2, "cache": "none"}, 3, 0, None)
    assert network.frozen is not None
    with torch.no_grad():
        cached = network.frozen.eval()(network.inputs(torch.from_numpy(x))).numpy()
    given: dict[str, Any] = {
        "blocks": 2,
        "drop_path": 0.2,
        "dropout": 0.1,
        "checkpointing": True,
        "layer_decay": 0.7,
        "epochs": 1,
    }
    through = fit(facts, x, **given, cache="none")
    from_cache = fit(facts, cached, **given, cache="activations")
    torch.testing.assert_close(through.tensors, from_cache.tensors, rtol=1e-3, atol=1e-4)
    rounded = fit(facts, cached.astype(np.float16), micro_batch=3, **given, cache="activations")
    np.testing.assert_allclose(rounded.curves["train_loss"], through.curves["train_loss"], rtol=0.02)
    first = {name: tensor for name, tensor in network.model.state_dict().items() if name in through.tensors}
    assert set(first) == set(through.tensors) < set(network.model.state_dict())
    moved = {name for name in first if not torch.equal(first[name], through.tensors[name])}
    assert {name for name in first if "running" not in name and "num_batches" not in name} == moved


@pytest.mark.parametrize(("trained", "norm"), [(False, "trained"), (True, "frozen")])
def test_a_whole_network_trains_on_pixels_with_batch_norm_as_its_weights_ask(trained: bool, norm: str) -> None:
    facts = facts_of("small_cnn", 32, trained=trained)
    found = fit(facts, pixels(32), blocks="all", augment=["hflip", "shift", "turns"], epochs=4)
    assert found.facts["batch_norm"] == norm and found.facts["micro_batch"] == 4
    assert int(found.tensors["blocks.0.norm.num_batches_tracked"]) == (12 if norm == "trained" else 0)
    assert found.curves["train_loss"][-1] < found.curves["train_loss"][0]


def test_both_classifiers_of_a_distilled_network_are_dropped() -> None:
    facts = facts_of("deit_tiny_distilled_patch16_224", 32, trained=True)
    plain, dropped = (fit(facts, pixels(32), blocks="all", epochs=1, dropout=rate) for rate in (0.0, 0.5))
    assert not torch.equal(plain.tensors["head.weight"], dropped.tensors["head.weight"])
