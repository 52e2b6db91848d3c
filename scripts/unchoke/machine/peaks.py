"""Peaks of memory at growing micro-batches, and the largest micro-batch that keeps a budget."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from unchoke.machine.halving import is_out_of_memory
from unchoke.machine.memory import Meter

MARGIN = 0.9  # of the budget, so that a fragmented allocator finds room too


@dataclass(frozen=True)
class Peaks:
    """What was measured."""

    micro_batch: int
    """The largest that keeps the budget's margin; 0 where none does."""
    peaks_mb: dict[int, float | None]
    """Of all micro-batches that were tried; None where memory ran out."""

    def found(self) -> str:
        """The peak of a single image in words."""
        peak = self.peaks_mb[1]
        return f"a peak of {peak:.0f} MB for one image" if peak else "memory ran out at one image"

    def plan(self, budget_mb: float) -> dict[str, Any]:
        """As a plan's file has it."""
        return {
            "budget_mb": budget_mb,
            "micro_batch": self.micro_batch,
            "peak_mb": self.peaks_mb[self.micro_batch],
            "peaks_mb": {str(micro_batch): peak for micro_batch, peak in self.peaks_mb.items()},
        }


def measure_peaks(measure: Callable[[int], float | None], budget_mb: float, largest: int) -> Peaks:
    """Peaks at 1, 2, 4 … up to `largest`, until the first beyond the margin. measure: peak of a micro-batch, MB."""
    peaks: dict[int, float | None] = {}
    best = 0
    for micro_batch in candidates(largest):
        peaks[micro_batch] = measure(micro_batch)
        if (peaks[micro_batch] or float("inf")) > MARGIN * budget_mb:
            break
        best = micro_batch
    return Peaks(best, peaks)


def candidates(largest: int) -> list[int]:
    """1, 2, 4 … and `largest` itself."""
    doubled = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    return [*doubled, largest]


def peak_of(work: Callable[[], object], meter: Meter) -> float | None:
    """Peak of doing something twice, the second time as all later ones, MB; None where memory ran out."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()
        torch.cuda.empty_cache()
    meter.reset_peak()
    try:
        work()
        work()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
    return meter.peak_mb()
