"""The memory budget: the limit of a device, its peak use, and the rest.

Only `Card` and `Host` ask torch's allocator, NVML and the kernel. 1 MB is 2**20 bytes.
"""

import contextlib
import functools
import os
import sys
from pathlib import Path
from typing import Any, Protocol

import torch

from unchoke.errors import UnchokeError
from unchoke.machine.memory_watch import peak_memory_mb

MB = 2**20
_said: set[str] = set()


class Meter(Protocol):
    """The interface of a device for the budget."""

    def total_mb(self) -> float:
        """Memory of the device."""

    def available_mb(self) -> float:
        """What this process can have of it beside the others: what is free now and what it has; all of a host's."""

    def taken_mb(self) -> float:
        """Memory of this process outside its allocator: CUDA's context; 0 on a host."""

    def limit(self, allocator_mb: float) -> None:
        """Limit the allocator to so much."""

    def reset_peak(self) -> None:
        """Forget the peak."""

    def peak_mb(self) -> float:
        """Most memory that this process has taken since, CUDA's context included."""


class Card:
    """A CUDA card, as the allocator and NVML see it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        taken_before_mb()
        torch.zeros(1, device=device)  # makes the context

    def total_mb(self) -> float:
        return torch.cuda.get_device_properties(self.device).total_memory / MB

    def available_mb(self) -> float:
        return free_card_mb()[0] + own_card_mb()

    def taken_mb(self) -> float:
        return max(0.0, own_card_mb() - torch.cuda.memory_reserved(self.device) / MB)

    def limit(self, allocator_mb: float) -> None:
        torch.cuda.set_per_process_memory_fraction(min(1.0, allocator_mb / self.total_mb()), self.device)

    def reset_peak(self) -> None:
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak_mb(self) -> float:
        return self.taken_mb() + torch.cuda.max_memory_reserved(self.device) / MB


class Host:
    """A CPU, with resident memory in the place of the card's."""

    def total_mb(self) -> float:
        return _status_mb(Path("/proc/meminfo"), "MemTotal")

    def available_mb(self) -> float:
        return self.total_mb()

    def taken_mb(self) -> float:
        return 0.0

    def limit(self, allocator_mb: float) -> None:
        """A host's allocator takes no limit; the plan alone keeps the budget."""

    def reset_peak(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        return peak_memory_mb()


def meter_of(device: torch.device) -> Meter:
    """The meter of a device; for mps the host's meter, as they share their memory."""
    return Card(device) if device.type == "cuda" else Host()


def meters_of(device: torch.device) -> dict[str, Meter]:
    """The host's meter, and the card's where `device` is one."""
    return {"host": Host(), **({"card": Card(device)} if device.type == "cuda" else {})}


def budget_of(meter: Meter, asked_mb: float) -> float:
    """The budget in force, MB: `asked_mb`, or what this process can have now where that is less, which is said once."""
    available_mb = min(meter.total_mb(), meter.available_mb())
    if available_mb < asked_mb:
        _say_once(
            "budget", f"gpu.vram_mb is {asked_mb:,.0f}, but only {available_mb:,.0f} MB can be had, the budget now"
        )
    return min(asked_mb, available_mb)


def keep_budget(meter: Meter, budget_mb: float) -> float:
    """Hold the allocator to the budget in force, minus what the process takes beside it.

    Returns the allocator's limit, MB. Raises UnchokeError where it would be 0 or less.
    """
    held_mb, taken_mb = budget_of(meter, budget_mb), meter.taken_mb()
    left_mb = held_mb - taken_mb
    if left_mb <= 0:
        raise UnchokeError(
            "The memory budget is used up before any encoder is loaded.",
            found=f"{taken_mb:.0f} MB taken by CUDA itself, {held_mb:.0f} MB to be had of the device's "
            f"{meter.total_mb():.0f}",
            expected=f"less than gpu.vram_mb: {budget_mb:.0f}",
            do="raise gpu.vram_mb" if held_mb >= budget_mb else "end other processes that use the card",
        )
    meter.limit(left_mb)
    return left_mb


def card_uuid() -> str:
    """UUID of the card that CUDA calls 0 here, asked without making a context on it."""
    import pynvml

    pynvml.nvmlInit()
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return first
    return str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(int(first))))


def card_handle() -> Any:
    """NVML's handle of that card."""
    import pynvml

    return pynvml.nvmlDeviceGetHandleByUUID(card_uuid())


def free_card_mb() -> tuple[float, float]:
    """Free and total memory of that card, MB, beside all processes."""
    import pynvml

    memory = pynvml.nvmlDeviceGetMemoryInfo(card_handle())
    return float(memory.free) / MB, float(memory.total) / MB


@functools.cache
def taken_before_mb() -> float:
    """What was taken on that card when this process first asked, MB; 0 where it had begun to use the card by then."""
    free_mb, total_mb = free_card_mb()
    return 0.0 if torch.cuda.is_initialized() else total_mb - free_mb  # type: ignore[no-untyped-call]


def own_card_mb() -> float:
    """Memory of that card that this process takes, CUDA's context included, MB.

    Where the driver does not tell processes apart, what is taken beyond what was taken before this one began.
    """
    found_mb = process_mb(card_handle())
    if found_mb is not None:
        return found_mb
    _say_once(
        "processes",
        "the driver does not tell processes on the graphics card apart (WSL, some containers): "
        "what was taken on it before this process began counts as the others'",
    )
    free_mb, total_mb = free_card_mb()
    return max(0.0, total_mb - free_mb - taken_before_mb())


def process_mb(handle: Any) -> float | None:
    """Memory that NVML sees this process take on a card, MB; None where the driver does not tell processes apart."""
    import pynvml

    try:
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:
        return None
    own = [process.usedGpuMemory for process in processes if process.pid == os.getpid()]
    return float(own[0]) / MB if own and own[0] is not None else None


def _say_once(subject: str, text: str) -> None:
    if subject in _said:
        return
    _said.add(subject)
    print(f"note: {text}", file=sys.stderr, flush=True)


def _status_mb(path: Path, key: str) -> float:
    """The value of a line such as ``VmHWM:   123456 kB`` in a file of the kernel, MB."""
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024
