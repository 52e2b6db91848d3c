"""The budget and the plan over a device made for the test, and on a real card where there is one."""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pynvml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unchoke.encoders.encoder import Encoder, keep_encoder, load_encoder, weights_mb
from unchoke.encoders.plan import plan_memory
from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError
from unchoke.machine import memory
from unchoke.machine.memory import MB, Card, Host, budget_of, keep_budget, meters_of
from unchoke.machine.peaks import MARGIN, candidates


@dataclass
class FakeCard:
    """A card whose allocator runs out where it is told to; an image takes 10 MB beside the context's 300."""

    total: float = 4000
    context: float = 300
    others: float = 0
    limits: list[float] = field(default_factory=list)
    used: float = 0

    def total_mb(self) -> float:
        return self.total

    def available_mb(self) -> float:
        return self.total - self.others

    def taken_mb(self) -> float:
        return self.context

    def limit(self, allocator_mb: float) -> None:
        self.limits.append(allocator_mb)

    def reset_peak(self) -> None:
        self.used = 0

    def peak_mb(self) -> float:
        return self.context + self.used


class FakeEncoder:
    """An encoder whose batches take 10 MB an image of a FakeCard."""

    card = {"model": "fake"}
    image_size = 8
    device = torch.device("cpu")
    pools = {"avg": None}
    encode = Encoder.encode
    error: RuntimeError = torch.OutOfMemoryError("full")

    def __init__(self, meter: FakeCard) -> None:
        self.meter, self.batches = meter, []

    def encode_once(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        self.batches.append(len(images))
        self.meter.used = max(self.meter.used, 10.0 * len(images))
        if self.meter.limits and self.meter.used > self.meter.limits[-1]:
            raise self.error
        return {"avg": images[:, 0, 0, :1].numpy().astype(np.float32)}


def test_the_allocator_gets_the_budget_less_the_context() -> None:
    card = FakeCard()
    assert keep_budget(card, 2048) == 2048 - 300
    assert card.limits == [1748]


def test_a_small_card_is_the_budget() -> None:
    assert keep_budget(FakeCard(total=1000), 4096) == 700


def test_what_others_take_is_no_part_of_the_budget(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "_said", set())
    card = FakeCard(total=4000, others=700)
    assert keep_budget(card, 2048) == 1748
    assert keep_budget(card, 4096) == 3300 - 300 == keep_budget(card, 4000)
    assert capsys.readouterr().err == "note: gpu.vram_mb is 4,096, but only 3,300 MB can be had, the budget now\n"
    plan = plan_memory(FakeEncoder(card), card, budget_of(card, 4096), largest=300)
    assert plan["micro_batch"] == 256 and plan["budget_mb"] == 3300


def test_a_card_that_others_fill_is_refused() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)300 MB taken by CUDA.*250 MB to be had.*4000.*end other processes"):
        keep_budget(FakeCard(others=3750), 4096)


@dataclass
class Driver:
    """What NVML and CUDA say of a card of 4,000 MB, MB."""

    ours: float | None = 0
    """None: the driver does not tell processes apart."""
    others: float = 800
    all_ours: float = 0
    reserved: float = 0
    share: float = 1

    def processes(self, handle: object) -> list[SimpleNamespace]:
        own = None if self.ours is None else int(self.ours * MB)
        return [SimpleNamespace(pid=1, usedGpuMemory=5 * MB), SimpleNamespace(pid=os.getpid(), usedGpuMemory=own)]

    def memory(self, handle: object) -> SimpleNamespace:
        return SimpleNamespace(free=(4000 - self.others - self.all_ours) * MB, total=4000 * MB)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    driver = Driver()
    monkeypatch.setattr(memory, "card_handle", lambda: "handle")
    monkeypatch.setattr("pynvml.nvmlDeviceGetComputeRunningProcesses", driver.processes)
    monkeypatch.setattr("pynvml.nvmlDeviceGetMemoryInfo", driver.memory)
    monkeypatch.setattr("torch.zeros", lambda *_, **__: setattr(driver, "all_ours", 450 + driver.reserved))
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda _: driver.reserved * MB)
    monkeypatch.setattr(
        "torch.cuda.get_device_properties", lambda _: SimpleNamespace(total_memory=driver.memory("").total)
    )
    monkeypatch.setattr("torch.cuda.set_per_process_memory_fraction", lambda share, _: setattr(driver, "share", share))
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: driver.all_ours > 0)
    monkeypatch.setattr(memory, "_said", set())
    memory.taken_before_mb.cache_clear()
    yield driver
    memory.taken_before_mb.cache_clear()


@pytest.mark.parametrize("apart", [True, False])
def test_a_card_gives_what_is_free_and_what_is_ours(
    apart: bool, driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.ours = 450 if apart else None
    card = Card(torch.device("cuda"))
    assert card.taken_mb() == 450 and card.available_mb() == 3200
    assert keep_budget(card, 2048) == 2048 - 450 and keep_budget(card, 4096) == 2750
    assert driver.share == 2750 / 4000
    driver.reserved, driver.all_ours, driver.ours = 1000, 1450, 1450 if apart else None  # what is ours stays ours
    assert Card(torch.device("cuda")).available_mb() == 3200 and keep_budget(card, 4096) == 2750
    said = capsys.readouterr().err
    assert said.count("does not tell processes") == (0 if apart else 1)


def test_where_a_driver_refuses_to_list_processes_they_are_not_told_apart(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr("pynvml.nvmlDeviceGetComputeRunningProcesses", refuse)
    assert Card(torch.device("cuda")).taken_mb() == 450
    assert "does not tell processes" in capsys.readouterr().err


def test_a_process_that_is_not_listed_is_not_told_apart(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where NVML lists ids of the host."""
    others = driver.processes("")[:1]
    monkeypatch.setattr("pynvml.nvmlDeviceGetComputeRunningProcesses", lambda _: others)
    assert Card(torch.device("cuda")).taken_mb() == 450


def test_a_budget_below_the_context_is_refused() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)300 MB taken by CUDA.*gpu.vram_mb: 256"):
        keep_budget(FakeCard(), 256)


@given(st.floats(320, 4096), st.integers(1, 300))
def test_the_plan_is_the_largest_candidate_that_keeps_the_margin(budget_mb: float, largest: int) -> None:
    card = FakeCard()
    keep_budget(card, budget_mb)
    fitting = [n for n in candidates(largest) if 300 + 10 * n <= MARGIN * budget_mb]
    if not fitting:
        with pytest.raises(UnchokeError, match="does not fit the memory budget"):
            plan_memory(FakeEncoder(card), card, budget_mb, largest)
        return
    plan = plan_memory(FakeEncoder(card), card, budget_mb, largest)
    assert plan["micro_batch"] == max(fitting) <= largest
    assert plan["peak_mb"] == 300 + 10 * plan["micro_batch"] <= budget_mb


@given(st.integers(1, 10_000))
def test_candidates_grow_to_the_largest(largest: int) -> None:
    found = candidates(largest)
    assert found[0] == 1 and found[-1] == largest
    assert found == sorted(set(found))


@given(
    st.integers(1, 64),
    st.integers(1, 64),
    st.sampled_from([torch.OutOfMemoryError("full"), RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")]),
)
def test_when_memory_runs_out_the_batch_is_done_in_halves_with_the_same_result(
    batch: int, fits: int, error: RuntimeError
) -> None:
    card = FakeCard()
    encoder = FakeEncoder(card)
    encoder.error = error
    card.limit(10.0 * fits)
    images = torch.arange(batch, dtype=torch.uint8)[:, None, None, None].expand(batch, 3, 8, 8)

    def encode_afresh(part: torch.Tensor) -> dict[str, np.ndarray]:
        card.used = 0
        return FakeEncoder.encode_once(encoder, part)

    encoder.encode_once = encode_afresh  # type: ignore[method-assign]
    assert encoder.encode(images)["avg"][:, 0].tolist() == list(range(batch))
    assert encoder.batches[-1] <= fits


def test_a_single_image_that_does_not_fit_is_an_error() -> None:
    card = FakeCard()
    card.limit(5)
    with pytest.raises(torch.OutOfMemoryError):
        FakeEncoder(card).encode(torch.zeros((1, 3, 8, 8), dtype=torch.uint8))


def test_the_hosts_peak_is_what_was_taken_and_can_be_forgotten() -> None:
    meter = Host()
    meter.reset_peak()
    before = meter.peak_mb()
    block = mmap.mmap(-1, 64 * 2**20)  # np.ones may get pages that malloc has kept from an earlier test
    for place in range(0, len(block), mmap.PAGESIZE):
        block[place] = 1
    assert meter.peak_mb() - before == pytest.approx(64, abs=8)
    block.close()
    meter.reset_peak()
    assert meter.peak_mb() < before + 32


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("weights")
    fetch_weights("test_resnet", "untrained", 0, folder / "w.safetensors", folder / "w.json")
    return folder / "w.safetensors", folder / "w.json"


def test_a_loaded_encoder_is_kept_until_it_changes_or_the_budget_is_short(weights: tuple[Path, Path]) -> None:
    def keep(size: int, budget_mb: float = 4096) -> Encoder:
        return keep_encoder(*weights, size, ["avg"], torch.device("cpu"), "float16", budget_mb)

    first = keep(32)
    assert keep(32) is first
    other = keep(64)
    assert other is not first and keep(32) is first
    assert keep(64, budget_mb=weights_mb(first) * 4) is other  # room for one: the one used last stays
    assert keep(32) is not first
    os.utime(weights[0])
    assert keep(64) is not other


@pytest.mark.card
def test_a_real_card_keeps_the_budget(weights: tuple[Path, Path]) -> None:
    device = torch.device("cuda")
    keep_budget(Card(device), 1024)
    encoder = load_encoder(*weights, 224, ["avg"], device, "float16")
    plan = plan_memory(encoder, Card(device), 1024, largest=4096)
    assert 0 < plan["peak_mb"] <= 1024
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(2**30, dtype=torch.uint8, device=device)
    assert set(meters_of(device)) == {"host", "card"}
