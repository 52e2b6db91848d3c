"""A timed training is the training: the same logits as the loop on images that were read otherwise."""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from network_samples import network_work
from numpy.typing import NDArray
from PIL import Image

from unchoke.errors import UnchokeError
from unchoke.networks.build import build_network
from unchoke.networks.images import HeldImages
from unchoke.networks.member import train_member
from unchoke.networks.predict import logits_of
from unchoke.networks.sources import origin_facts
from unchoke.networks.step_log import StepRow
from unchoke.networks.task import NetworkTask
from unchoke.pipelines.measure import Done
from unchoke.pipelines.network import Clock, measure_training, plan_training
from unchoke.pipelines.network_entries import network_pipelines
from unchoke.pipelines.network_work import NetworkWork

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkWork]:
    folder = tmp_path_factory.mktemp("network")
    found = network_work(folder, blocks=1, batch_size=16, learning_rates=[0.01])
    found.scratch.mkdir()
    yield replace(found, network_batch=16)


def measured(work: NetworkWork, name: str) -> Done:
    [row] = [row for row in network_pipelines(work) if row.name == f"n: {name}"]
    row.prepare(work)
    return measure_training(row, work, 10_000)


def by_hand(work: NetworkWork) -> NDArray[np.float32]:
    """Logits of val after two epochs of the loop, on pixels that Pillow and the encoder's transform made one by one."""
    encoder, labels = replace(work, pool="avg").encoder(), work.labels
    prepare = encoder.preprocess()
    x_N = {}
    for place, path in enumerate(work.paths):
        if path != "dark/broken.jpg":
            x_N[place] = prepare(Image.open(work.root / path).convert("RGB")).numpy()

    def part(split: str) -> HeldImages:
        at = np.array([place for place in x_N if labels["split"][place] == split])
        label_N = (labels["label"][at] == "light").to_numpy().astype(np.int64)
        return HeldImages(at, label_N, np.stack([x_N[place] for place in at])[None])

    settings = {**work.single, "cache": "none"}
    facts = {**origin_facts(settings, work.card), "image_size": 32}
    train, val = part("train"), part("val")
    given = train, val, settings, 2, CPU, ""
    task = NetworkTask(lambda seed: build_network(facts, settings, 2, seed, work.weights), *given, chunk_size=16)
    member = train_member(task, 0.01, settings["weight_decays"][0], 0, 16)
    network = task.build(0)
    network.trained.load_state_dict(member.tensors)
    return logits_of(network, val, CPU, settings, 16).numpy()


def test_frozen_parts_on_pixels_and_files_give_the_logits_of_the_loop(work: NetworkWork) -> None:
    found = {name: measured(work, name) for name in ("frozen part in each step", "PyTorch DataLoader")}
    first, second = found.values()
    np.testing.assert_array_equal(first.features.values_ND, second.features.values_ND)
    readable = first.features.valid_N & (work.labels["split"] == "val").to_numpy()
    np.testing.assert_allclose(first.features.values_ND[readable], by_hand(work), rtol=1e-4, atol=1e-5)
    assert not first.features.values_ND[~readable].any() and int((~first.features.valid_N).sum()) == 1
    assert all(done.cold_s > 0 and done.warm_s > 0 and done.compile_s == 0 for done in found.values())


def test_cached_activations_are_as_near_as_float16(work: NetworkWork) -> None:
    cached, frozen = (measured(work, name).features.values_ND for name in ("default", "frozen part in each step"))
    assert 0 < np.linalg.norm(cached - frozen) / np.linalg.norm(frozen) < 0.01


def test_what_the_first_epoch_of_a_compiled_network_takes_more_is_compiling(
    work: NetworkWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiler(module: torch.nn.Module) -> torch.nn.Module:
        waits = [0.5]
        module.register_forward_pre_hook(lambda *_: time.sleep(waits.pop() if waits else 0))
        return module

    monkeypatch.setattr(torch, "compile", compiler)
    done = measured(work, "compiled")
    assert done.compile_s > 0.4 and done.cold_s > 0


def test_the_plan_takes_what_fits_and_says_what_does_not(work: NetworkWork) -> None:
    first = network_pipelines(work)[0]
    assert plan_training(first, work, 10_000) == 16
    with pytest.raises(UnchokeError, match="does not fit the memory budget"):
        plan_training(first, work, 10)


@pytest.mark.parametrize(
    ("size", "peak_mb", "told"),
    [(8, 50.0, "a peak of 50 MB with micro-batches of 8"), (4, 1.0, "memory runs out with micro-batches of 8")],
)
def test_a_micro_batch_beyond_the_budget_ends_its_training(size: int, peak_mb: float, told: str) -> None:
    row = StepRow(0, 0, 1.0, 0.1, 0.5, 16, size, peak_mb, 0)
    with pytest.raises(UnchokeError, match=f"{told}, more than 90% of gpu.vram_mb allow"):
        Clock(8, 40).step(row)
    clock = Clock(4, 60)
    clock.step(row)
    clock.epoch(row, 1.0)
    assert clock.steps_s == [0.5, 0.0] and len(clock.ends) == 1
