"""On a real card, by `make card`: results as the CPU's, memory that runs out in earnest, and what others take.

Products of 10 bits (TF32) are switched off, so that differences are of rounding and order alone. They are relative: the
length of a difference over the length of the CPU's result.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import clouds, rows_of
from small_networks import SETTINGS, build
from small_trainings import CLASSES, PIXELS, fit_head, mask_settings
from torch import nn

from unchoke.config.heads import Centroid, Knn, Linear, Logistic, Mlp, Ridge
from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.heads.train import kind_of
from unchoke.machine.memory import MB, Card, budget_of, keep_budget, own_card_mb
from unchoke.mask_heads.batches import Held
from unchoke.mask_heads.head import kind_of as mask_kind_of
from unchoke.mask_heads.head import predict
from unchoke.mask_heads.losses import loss_of
from unchoke.mask_heads.steps import gradients as mask_gradients
from unchoke.networks.losses import Targets
from unchoke.networks.step import Batch, gradients, make_learner, update

pytestmark = pytest.mark.card
CPU, SIDE = torch.device("cpu"), 64
SPARE_MB = 160  # beside what a single image or patch takes


@pytest.fixture
def card() -> Iterator[torch.device]:
    """The card, with all of its memory again at the end."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    yield torch.device("cuda")
    for backend, allowed in zip(backends, before, strict=True):
        backend.allow_tf32 = allowed
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.0)


def apart(found: NDArray[np.floating] | torch.Tensor, expected: NDArray[np.floating] | torch.Tensor) -> float:
    """Relative difference."""
    one, other = (np.asarray(torch.as_tensor(values).detach().cpu(), np.float64) for values in (found, expected))
    assert one.shape == other.shape and np.isfinite(one).all()
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def parameters(module: nn.Module) -> torch.Tensor:
    return torch.cat([part.detach().cpu().ravel() for part in module.parameters()])


def slopes(module: nn.Module) -> torch.Tensor:
    return torch.cat([part.grad.cpu().ravel() for part in module.parameters() if part.grad is not None])


@contextmanager
def little_memory() -> Iterator[None]:
    """Within it the allocator has SPARE_MB beside what it had. It must keep to that, and ask for more in vain."""
    torch.cuda.empty_cache()
    limit_mb, refused = torch.cuda.memory_reserved() / MB + SPARE_MB, torch.cuda.memory_stats().get("num_ooms", 0)
    Card(torch.device("cuda")).limit(limit_mb)
    torch.cuda.reset_peak_memory_stats()
    yield
    assert torch.cuda.max_memory_reserved() / MB <= limit_mb + 1
    assert torch.cuda.memory_stats()["num_ooms"] > refused
    torch.cuda.set_per_process_memory_fraction(1.0)


# --- as on the CPU


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


def encoder_on(device: torch.device, folder: Path, model: str, precision: str, strides: list[int]) -> Encoder:
    weights, facts = folder / f"{model}.safetensors", folder / f"{model}.json"
    if not weights.exists():
        fetch_weights(model, "untrained", 0, weights, facts)
    return load_encoder(weights, facts, None, [] if strides else ["avg"], device, precision, strides)


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-4), ("float16", 1e-2), ("bfloat16", 5e-2)])
@pytest.mark.parametrize(("model", "strides"), [("test_vit", []), ("test_efficientnet", []), ("test_resnet", [4, 8])])
def test_features(
    model: str, strides: list[int], precision: str, most: float, folder: Path, card: torch.device
) -> None:
    ours, theirs = (encoder_on(device, folder, model, precision, strides) for device in (card, CPU))
    images = torch.randint(0, 256, (5, 3, ours.image_size, ours.image_size), dtype=torch.uint8)
    found, expected = ours.encode(images), theirs.encode(images)
    assert max(apart(found[name], expected[name]) for name in expected) <= most


HEADS = [
    Linear(kind="linear", epochs=5, choose_by="accuracy", learning_rates=[0.01, 0.1]),
    Mlp(kind="mlp", hidden=8, epochs=5, choose_by="log_loss", learning_rates=[0.01]),
    Logistic(kind="logistic", choose_by="accuracy", c=[0.01, 1.0], tolerance=1e-5),
    Ridge(kind="ridge", choose_by="accuracy"),
    Knn(kind="knn", k=[5], choose_by="accuracy"),
    Centroid(kind="centroid", choose_by="accuracy"),
]


@pytest.mark.parametrize("section", HEADS, ids=lambda section: section.kind)
def test_heads(section: Linear, card: torch.device) -> None:
    settings, found = section.model_dump(), []
    for device in (card, CPU):
        rows = [rows_of(*clouds([200, 150, 90], 32, seed)) for seed in (0, 1)]
        train, val = (replace(one, x_ND=one.x_ND.to(device), y_N=one.y_N.to(device)) for one in rows)
        kind = kind_of(settings)
        fitted = kind.fit(train, val, 3, settings, device)
        found.append((fitted.chosen, kind.predict(fitted.replicates[0], settings, val.x_ND, device)))
    assert found[0][0] == found[1][0]
    assert apart(found[0][1], found[1][1]) <= 1e-3


def patches(count: int, side: int = SIDE) -> Held:
    """Patches whose pixels tell their class."""
    rng = np.random.default_rng(count)
    label = np.repeat(np.repeat(rng.integers(0, CLASSES, (count, side // 8, side // 8)), 8, 1), 8, 2).astype(np.uint8)
    pixels = np.clip(60 + 60 * label[:, None] + rng.normal(0, 20, (count, 3, side, side)), 0, 255).astype(np.uint8)
    return Held(*PIXELS, {"pixels": pixels}, label)


def test_mask_heads(card: torch.device) -> None:
    """After three steps at a small rate: training enlarges rounding."""
    settings = mask_settings("unet", learning_rates=[1e-3], seeds=[0], epochs=1)
    heads = [fit_head(settings, None, train=patches(12), val=patches(4), device=device) for device in (card, CPU)]
    assert apart(*(head.curves["train_loss"] for head in heads)) <= 1e-3
    found = [predict(head.modules(device), patches(3).maps) for head, device in zip(heads, (card, CPU), strict=True)]
    assert apart(*found) <= 1e-2


def batch_on(device: torch.device, count: int, side: int) -> Batch:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(count, 4, side, side)).astype(np.float16))
    return Batch(x, np.arange(count), Targets(torch.arange(count, device=device) % CLASSES))


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-4), ("float16", 3e-2), ("bfloat16", 1e-1)])
def test_a_step_of_a_network(precision: str, most: float, card: torch.device) -> None:
    found = []
    for device in (card, CPU):
        settings = SETTINGS | {"precision": precision, "dropout": 0.2}
        learner = make_learner(build(0, 0.3), settings, device, torch.ones(CLASSES), 0.1, 0)
        learner.scaler = torch.amp.GradScaler(device.type, 256.0, enabled=learner.scaler.is_enabled())
        loss, _ = gradients(learner, batch_on(device, 9, 12), 3, 4)
        found.append((loss, slopes(learner.network.trained) / learner.scaler.get_scale()))
    assert apart(found[0][0], found[1][0]) <= most
    assert apart(found[0][1], found[1][1]) <= most


# --- memory


def test_a_step_for_which_memory_runs_out_is_that_of_a_smaller_micro_batch(card: torch.device) -> None:
    def learner() -> tuple:
        learner = make_learner(build(0, 0.3), SETTINGS, card, torch.ones(CLASSES), 0.1, 0)
        gradients(learner, batch_on(card, 1, 256), 0, 1)  # libraries take their working memory
        return learner, batch_on(card, 64, 256)

    failed, batch = learner()
    with little_memory():
        loss, micro_batch = gradients(failed, batch, 3, 64)
    assert micro_batch < 64
    update(failed, 3, 0.01)
    planned, batch = learner()
    expected, size = gradients(planned, batch, 3, micro_batch)
    update(planned, 3, 0.01)
    assert size == micro_batch and apart(loss, expected) <= 1e-6
    assert apart(*(parameters(one.network.trained) for one in (failed, planned))) <= 1e-6


def test_a_mask_heads_step_for_which_memory_runs_out_is_that_of_a_smaller_micro_batch(card: torch.device) -> None:
    held, settings = patches(24, 256), mask_settings("unet")
    maps = {"pixels": torch.from_numpy(held.maps["pixels"]).to(card).float() / 255}
    label, weight_K, found = torch.from_numpy(held.label).to(card), torch.ones(CLASSES, device=card), []

    def step(model: nn.Module, micro_batch: int, rows: int = 24) -> tuple[torch.Tensor, int]:
        part = {name: x[:rows] for name, x in maps.items()}
        scaler = torch.amp.GradScaler("cuda", enabled=False)
        return mask_gradients(model, part, label[:rows], loss_of(settings), weight_K, "float32", scaler, micro_batch)

    for limited in (True, False):
        torch.manual_seed(0)
        model = mask_kind_of(settings).build(*PIXELS, CLASSES, settings).to(card)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        step(model, 2, 2)
        model.load_state_dict(before)
        with little_memory() if limited else nullcontext():
            loss, size = step(model, 24 if limited else found[0][1])
        found.append((loss, size, slopes(model), model.state_dict()))
    assert found[0][1] == found[1][1] < 24 and apart(found[0][0], found[1][0]) <= 1e-6
    assert apart(found[0][2], found[1][2]) <= 1e-5
    norms = [torch.cat([value.ravel() for name, value in one[3].items() if "running" in name]) for one in found]
    assert apart(*norms) <= 1e-6


def test_features_for_which_memory_runs_out(folder: Path, card: torch.device) -> None:
    encoder = encoder_on(card, folder, "test_resnet", "float32", [4])
    images = torch.randint(0, 256, (96, 3, encoder.image_size, encoder.image_size), dtype=torch.uint8)
    expected = np.concatenate([encoder.encode_once(part)["s4"] for part in images.split(4)])
    with little_memory():
        found = encoder.encode(images.repeat(8, 1, 1, 1))["s4"]
    assert apart(found[:96], expected) <= 1e-5


HOLDER = "import torch; x = torch.zeros(2**29, dtype=torch.uint8, device='cuda'); print('held', flush=True); input()"


def test_what_another_process_takes_is_no_part_of_the_budget(card: torch.device) -> None:
    meter = Card(card)
    before_mb = meter.available_mb()
    block = torch.zeros(2**28, dtype=torch.uint8, device=card)
    assert own_card_mb() >= block.nbytes / MB
    assert meter.available_mb() == pytest.approx(before_mb, abs=64)  # what is ours stays ours
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "held\n"
        found_mb = budget_of(meter, before_mb)
        other.communicate("\n")
    assert found_mb <= before_mb - 500


def test_the_allocator_keeps_the_budget_with_the_context(card: torch.device) -> None:
    meter = Card(card)
    left_mb = keep_budget(meter, 1024)
    assert left_mb < 1024 and own_card_mb() <= 1024
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(2**30, dtype=torch.uint8, device=card)
    half = torch.zeros(int(left_mb / 2) * MB, dtype=torch.uint8, device=card)
    assert half.nbytes / MB < meter.peak_mb() <= 1024
