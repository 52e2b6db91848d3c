"""What a training reads of its device's memory between steps."""

import time

import torch

from unchoke.machine.memory import Meter

PEAK_EVERY_S = 1.0
"""Between two questions to the driver about memory, s."""


class Gauge:
    """Memory that steps take, and how often the allocator of a card had to try again."""

    def __init__(self, meter: Meter, device: torch.device) -> None:
        self._meter, self._device = meter, device
        self._before, self._asked_s, self._peak_mb = self._retries(), -PEAK_EVERY_S, 0.0
        meter.reset_peak()

    def retries(self) -> int:
        """Since the last call."""
        before, self._before = self._before, self._retries()
        return self._before - before

    def peak_mb(self) -> float:
        """The peak since it was asked for last; the driver is asked once a second."""
        if time.monotonic() - self._asked_s >= PEAK_EVERY_S:
            self._peak_mb, self._asked_s = self._meter.peak_mb(), time.monotonic()
            self._meter.reset_peak()
        return self._peak_mb

    def _retries(self) -> int:
        if self._device.type != "cuda":
            return 0
        return int(torch.cuda.memory_stats(self._device).get("num_alloc_retries", 0))
