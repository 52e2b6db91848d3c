"""The budget and the plan over a device made for the test, and on a real card where there is one."""

import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unchoke.encoders.encoder import Encoder, keep_encoder, load_encoder, weights_mb
from unchoke.encoders.plan import plan_memory
from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError
from unchoke.machine.memory import Card, Host, keep_budget, meters_of
from unchoke.machine.peaks import MARGIN, candidates


@dataclass
class FakeCard:
    """A card whose allocator runs out where it is told to; an image takes 10 MB beside the context's 300."""

    total: float = 4000
    context: float = 300
    limits: list[float] = field(default_factory=list)
    used: float = 0

    def total_mb(self) -> float:
        return self.total

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

    def __init__(self, meter: FakeCard) -> None:
        self.meter, self.batches = meter, []

    def encode_once(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        self.batches.append(len(images))
        self.meter.used = max(self.meter.used, 10.0 * len(images))
        if self.meter.limits and self.meter.used > self.meter.limits[-1]:
            raise torch.OutOfMemoryError("full")
        return {"avg": images[:, 0, 0, :1].numpy().astype(np.float32)}


def test_the_allocator_gets_the_budget_less_the_context() -> None:
    card = FakeCard()
    assert keep_budget(card, 2048) == 2048 - 300
    assert card.limits == [1748]


def test_a_small_card_is_the_budget() -> None:
    assert keep_budget(FakeCard(total=1000), 4096) == 700


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


@given(st.integers(1, 64), st.integers(1, 64))
def test_when_memory_runs_out_the_batch_is_done_in_halves_with_the_same_result(batch: int, fits: int) -> None:
    card = FakeCard()
    encoder = FakeEncoder(card)
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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card here")
def test_a_real_card_keeps_the_budget(weights: tuple[Path, Path]) -> None:
    device = torch.device("cuda")
    keep_budget(Card(device), 1024)
    encoder = load_encoder(*weights, 224, ["avg"], device, "float16")
    plan = plan_memory(encoder, Card(device), 1024, largest=4096)
    assert 0 < plan["peak_mb"] <= 1024
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(2**30, dtype=torch.uint8, device=device)
    assert set(meters_of(device)) == {"host", "card"}
