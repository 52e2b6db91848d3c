"""The way of an encoder: compiled only where that pays, fits, and agrees with the chunks that are there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from unchoke.encoders import ways
from unchoke.encoders.lanes import ONE_LANE, Lanes
from unchoke.encoders.ways import Work, choose_way, in_its_way
from unchoke.errors import UnchokeError
from unchoke.signed import signed_bytes

BATCH = 10


class Clock:
    """Time that passes only where something says so, s."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@dataclass
class Timed:
    """An encoder that takes so long a batch."""

    clock: Clock
    batch_s: float
    device = torch.device("cpu")
    image_size = 8
    card = {"model": "m"}

    def encode_once(self, images: torch.Tensor) -> None:
        assert len(images) == BATCH
        self.clock.now += self.batch_s


class Meter:
    def reset_peak(self) -> None: ...
    def peak_mb(self) -> float:
        return 500.0


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The choice for batches of 2 s that compiling, in 30 s, makes batches of `batch_s`."""
    clock = Clock()
    monkeypatch.setattr(ways, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    monkeypatch.setattr(ways, "why_eager", lambda _: "")

    def compile_it(batch_s: float, _: Any, micro_batch: int) -> Any:
        clock.now += 30.0
        return Timed(clock, batch_s)

    def chosen(
        batches: int,
        batch_s: float = 1.0,
        asked: str = "auto",
        before: int | None = None,
        budget_mb: float = 4096,
        compiler: Any = None,
        lanes: Lanes = ONE_LANE,
    ) -> dict[str, Any]:
        make = compiler or (lambda encoder, size: compile_it(batch_s, encoder, size))
        work = Work(batches * BATCH, BATCH, before, lanes)
        return choose_way(Timed(clock, 2.0), work, asked, Meter(), budget_mb, make)  # type: ignore[arg-type]

    return chosen


def refuse(*_: Any) -> Any:
    raise UnchokeError("The encoder cannot be compiled.", found="no g++", do="install g++")


def never(*_: Any) -> Any:
    raise AssertionError("nothing needs to be compiled")


# Saved are 1 s a batch, of 2 s; compiling costs 30 s, and must save twice that.
@pytest.mark.parametrize(("batches", "compiled"), [(60, False), (61, True)])
def test_auto_compiles_where_that_saves_twice_what_it_costs(choose: Any, batches: int, compiled: bool) -> None:
    found = choose(batches)
    assert bool(found["compiled_threads"]) is compiled
    assert found["compile_s"] == pytest.approx(30) and found["gain"] == pytest.approx(2)
    assert found["saved_s"] == pytest.approx(batches)


def test_lanes_share_the_batches_and_code_is_for_the_threads_of_one(choose: Any) -> None:
    found = [choose(batches, lanes=Lanes(2, 3)) for batches in (121, 122, 59)]
    assert [each["compiled_threads"] for each in found] == [3, 3, 0] and "59 s" in found[2]["why"]
    assert found[0]["saved_s"] == pytest.approx(60.5)
    assert choose(120, lanes=Lanes(2, 3))["compiled_threads"] == 0


def test_a_gain_within_the_noise_is_none(choose: Any) -> None:
    assert choose(10_000, batch_s=1.9)["compiled_threads"] == 0
    assert choose(10_000, batch_s=1.8)["compiled_threads"] == 1


def test_few_images_and_stores_of_eager_chunks_are_not_measured(choose: Any) -> None:
    few = choose(29, compiler=never)
    assert few["compiled_threads"] == 0 and "58 s" in few["why"]
    assert choose(10_000, before=0, compiler=never)["compiled_threads"] == 0


def test_a_store_of_compiled_chunks_stays_so_where_it_would_not_pay(choose: Any) -> None:
    assert choose(1, batch_s=3.0, before=1)["compiled_threads"] == 1


def test_where_an_encoder_cannot_be_compiled_auto_is_eager_and_the_others_are_errors(choose: Any) -> None:
    found = choose(10_000, compiler=refuse)
    assert found["compiled_threads"] == 0 and "no g++" in found["why"]
    for must in ({"asked": "on"}, {"before": 1}):
        with pytest.raises(UnchokeError, match="no g\\+\\+"):
            choose(10_000, compiler=refuse, **must)


def test_without_a_compiler_auto_says_so_and_measures_nothing(choose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "why_eager", lambda _: "there is no C++ compiler")
    assert choose(10_000, compiler=never) == {"compiled_threads": 0, "why": "there is no C++ compiler"}


def test_a_compiled_encoder_keeps_the_memory_budget(choose: Any) -> None:
    assert choose(10_000, budget_mb=500 / 0.9 + 1)["compiled_threads"] == 1
    assert choose(10_000, budget_mb=500 / 0.9 - 1)["compiled_threads"] == 0
    with pytest.raises(UnchokeError, match=r"(?s)500 MB.*compile: off"):
        choose(10_000, asked="on", budget_mb=500)


def test_chunks_follow_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "keep_compiled", lambda encoder, size: f"compiled {encoder} for {size}")
    way = tmp_path / "b0.way.json"
    assert in_its_way("b0", None, 32) == "b0"  # type: ignore[arg-type, comparison-overlap]
    for threads, expected in ((0, "b0"), (1, "compiled b0 for 32")):
        way.write_bytes(signed_bytes({"compiled_threads": threads}))
        assert in_its_way("b0", way, 32) == expected  # type: ignore[arg-type, comparison-overlap]
    way.write_bytes(way.read_bytes().replace(b": 1", b": 2"))
    with pytest.raises(UnchokeError, match="missing or changed"):
        in_its_way("b0", way, 32)  # type: ignore[arg-type]
