"""Limits of one run: ours where the command line gives none, and a refusal of what could never fit."""

from pathlib import Path

import pytest

from unchoke.errors import UnchokeError
from unchoke.limits import host_memory_mb, resource_limits


def test_the_command_line_comes_first_and_erases_nothing_else() -> None:
    assert resource_limits({}, 4096, 16000) == {"gpu": 1, "vram_mb": 4096, "mem_mb": 16000}
    assert resource_limits({"gpu": 2, "mem_mb": None}, 4096, 16000) == {"gpu": 2, "vram_mb": 4096, "mem_mb": 16000}


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
