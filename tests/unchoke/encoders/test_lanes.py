"""Lanes: micro-batches side by side, in their order, within the memory budget."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from unchoke.encoders.lanes import Lanes, best_lanes, lanes_of, lanes_within, most_lanes, side_by_side

PEAKS = {"micro_batch": 32, "peak_mb": 931.0, "peaks_mb": {"1": 621.0}, "budget_mb": 4096, "host_mb": 1300.0}


def encoder(device: str = "cpu", compiled_threads: int = 0) -> Any:
    compiled = (lambda x: x) if compiled_threads else None
    return SimpleNamespace(device=torch.device(device), compiled=compiled, compiled_threads=compiled_threads)


# By hand: rounds of batches over threads a lane, times 1.3 where these are several; of equal times more lanes.
@pytest.mark.parametrize(
    ("batches", "threads", "most", "expected"),
    [
        (2, 2, 9, 2),  # 1, not 2 / 2 × 1.3
        (2, 8, 9, 2),  # 1 / 4 × 1.3, as 2 / 8 × 1.3
        (3, 2, 9, 1),  # 3 / 2 × 1.3 = 1.95, not 2
        (10, 8, 9, 2),  # 5 / 4 × 1.3 = 1.63, not 2
        (64, 8, 9, 8),
        (64, 8, 3, 2),
        (64, 1, 9, 1),
    ],
)
def test_the_lanes_that_take_least_time(batches: int, threads: int, most: int, expected: int) -> None:
    assert best_lanes(batches, threads, most) == expected


def test_lanes_keep_the_budget_and_what_a_job_asks_for() -> None:
    # A batch takes (931 - 621) × 32 / 31 = 320 MB; half of 1,300 MB holds 2, and 0.9 × 1,500 - 931 = 419 MB hold 1.
    assert most_lanes(PEAKS) == 1 + 2
    assert most_lanes({**PEAKS, "budget_mb": 1500}) == 1 + 1
    assert most_lanes({**PEAKS, "budget_mb": 1035}) == 1
    # Where a peak of one image was that of earlier work, a quarter of 931 MB is what a batch is taken to need.
    assert most_lanes({**PEAKS, "peaks_mb": {"1": 931.0}}) == 1 + 2


def test_a_card_and_a_single_batch_have_one_lane_and_need_no_plan(tmp_path: Path) -> None:
    assert lanes_of(tmp_path / "none.json", encoder("cuda"), 8, 8) == Lanes(1)
    assert lanes_of(tmp_path / "none.json", encoder(), 1, 8) == Lanes(1)


def test_a_compiled_encoder_keeps_its_threads() -> None:
    assert lanes_within(9, encoder(compiled_threads=2), 8, 4) == Lanes(2, 2)
    assert lanes_within(9, encoder(compiled_threads=4), 8, 2) == Lanes(1, 4)


def test_batches_are_at_once_in_order_and_taken_one_ahead(one_thread: None) -> None:
    both, taken, threads = threading.Barrier(2, timeout=20), [], []

    def items() -> Iterator[int]:
        for item in range(6):
            taken.append(item)
            yield item

    def work(item: int) -> int:
        threads.append(torch.get_num_threads())
        both.wait()  # never passed by one lane
        return 10 * item

    results = side_by_side(work, items(), Lanes(2, 3))
    assert next(results) == 0 and max(taken) <= 3
    assert list(results) == [10, 20, 30, 40, 50]
    assert threads == [3] * 6 and torch.get_num_threads() == 1


def test_an_error_of_a_lane_is_raised_and_torch_has_its_threads_back(one_thread: None) -> None:
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda item: 1 // item, [1, 0, 1, 1], Lanes(2, 2)))
    assert torch.get_num_threads() == 1
