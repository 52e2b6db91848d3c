"""Limits of one run: ours where the command line gives none, and a refusal of what could never fit."""

from pathlib import Path

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.machine.limits import (
    host_memory_mb,
    measured_peaks,
    refuse_missing_cards,
    resource_limits,
    threads_of_job,
    visible_cards,
)
from unchoke.signed import signed_bytes


def test_the_command_line_comes_first_and_erases_nothing_else() -> None:
    assert resource_limits({}, 4096, 16000) == {"gpu": 1, "vram_mb": 4096, "mem_mb": 16000}
    stated = {"gpu": 2, "vram_mb": 5000, "mem_mb": None}
    assert resource_limits(stated, 4096, 16000) == {"gpu": 2, "vram_mb": 5000, "mem_mb": 16000}


@pytest.mark.parametrize("gpu", [1, 2, 7])
def test_each_card_brings_its_budget_and_no_more(gpu: int) -> None:
    limits = resource_limits({"gpu": gpu}, 4096, 16000)
    fitting = min(limits["gpu"], limits["vram_mb"] // 4096)  # jobs side by side, each of a card and its whole budget
    assert fitting == gpu
    assert limits["vram_mb"] - fitting * 4096 == 0


@given(st.integers(1, 64), st.integers(1, 256), st.integers(1, 16))
def test_jobs_on_all_cards_fit_the_cores(wanted: int, cores: int, gpu: int) -> None:
    threads = threads_of_job(wanted, cores, gpu)
    assert 1 <= threads <= wanted
    assert threads * gpu <= max(cores, gpu)
    assert threads == wanted or (threads + 1) * gpu > cores  # none is left unused
    assert threads_of_job(wanted, None, gpu) == wanted


def test_more_cards_than_the_machine_shows_are_refused() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)fewer.*2 visible.*gpu=3.*--resources gpu=2"):
        refuse_missing_cards(3, 2)
    for gpu, cards in ((2, 2), (1, 2), (3, 0)):
        refuse_missing_cards(gpu, cards)


@pytest.mark.parametrize(("shown", "count"), [(None, 4), ("", 0), ("3", 1), ("GPU-a,GPU-b", 2)])
def test_visible_cards_are_those_that_cuda_is_shown(
    shown: str | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynvml.nvmlInit", lambda: None)
    monkeypatch.setattr("pynvml.nvmlDeviceGetCount", lambda: 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert visible_cards() == count


def test_a_machine_without_a_driver_has_no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr("pynvml.nvmlInit", no_driver)
    assert visible_cards() == 0


def test_no_card_at_all_is_refused() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)gpu=0.*gpu.device: cpu"):
        resource_limits({"gpu": 0}, 4096, 16000)


def test_a_need_above_the_limit_names_rules_need_and_limit() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)extract_chunk.*4096 MB.*2048 MB"):
        resource_limits({"vram_mb": 2048}, 4096, 16000)


def test_the_machine_has_the_memory_that_the_kernel_says() -> None:
    with Path("/proc/meminfo").open() as file:
        total_kb = int(file.readline().split()[1])
    assert host_memory_mb() == pytest.approx(total_kb / 1024, rel=0.02)


def test_a_plan_without_its_peaks_is_named_with_the_command_that_mends_it(tmp_path: Path) -> None:
    plan = tmp_path / "plans/tiny.json"
    with pytest.raises(FileNotFoundError):  # Snakemake asks again when the plan has been made
        measured_peaks(plan)
    plan.parent.mkdir()
    plan.write_text("{}")
    with pytest.raises(UnchokeError, match=r"(?s)is missing.*tiny\.peaks\.json.*--forcerun \S+/plans/tiny\.json"):
        measured_peaks(plan)
    plan.with_suffix(".peaks.json").write_bytes(signed_bytes({"host_mb": 5}))
    assert measured_peaks(plan) == {"host_mb": 5}
