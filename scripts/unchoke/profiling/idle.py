"""How long a card waits while features are extracted, and for what."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from unchoke.images.steps import FORWARD, TO_DEVICE, Steps

P = ParamSpec("P")
T = TypeVar("T")

NO_CARD = "There is no CUDA card here whose idle time could be measured."


class Watched(Steps):
    """Marks on the card's own clock where each batch begins and ends.

    first, last: steps on the card; the first may come several times before the last, as micro-batches do.
    """

    def __init__(self, first: str = TO_DEVICE, last: str = FORWARD) -> None:
        self._first, self._last = first, last
        self._marks: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._is_open = False

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if step == self._first and not self._is_open:
            self._marks.append((new_mark(), new_mark()))
            self._marks[-1][0].record()
            self._is_open = True
        found = function(*args, **kwargs)
        if step == self._last:
            self._marks[-1][1].record()
            self._is_open = False
        return found

    def busy_s(self) -> float:
        """Seconds between the marks, summed over batches; once the card has done all."""
        return float(sum(begin.elapsed_time(end) for begin, end in self._marks)) / 1000


def has_clock(device: torch.device) -> bool:
    """Whether the device says when it has done what."""
    return device.type == "cuda"


def new_mark() -> torch.cuda.Event:
    """A mark that ``record`` puts behind all that the card has been told to do."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def idle_shares(total_s: float, encode_s: float, busy_s: float) -> dict[str, float]:
    """Shares of the run in which the card is idle: outside `encode_s` it waits for input, within it for the host."""
    return {"waiting for input": (total_s - encode_s) / total_s, "waiting for the host": (encode_s - busy_s) / total_s}
