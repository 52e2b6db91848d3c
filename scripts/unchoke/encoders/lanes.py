"""Micro-batches of a chunk side by side on a processor, each with threads of its own.

Threads that share a batch wait for one another in each of its operations, and whenever another process has one of
their cores. Threads with batches of their own wait for nobody. Features are the same to the bit.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from unchoke.encoders.encoder import Encoder
from unchoke.machine.limits import measured_peaks
from unchoke.machine.peaks import MARGIN

Item = TypeVar("Item")
Result = TypeVar("Result")

SHARING = 1.3
"""Time of a batch that threads share, over its time where sharing costs nothing. Estimated, not measured: it decides
how many lanes there are, and no byte depends on that."""
HOST_SHARE = 0.5
"""What further lanes may take of the machine's memory, as a share of what planning took; see ``memory.chunk_mb``."""
LEAST_SHARE = 0.25
"""What a lane takes at least, as a share of the planned peak: a warm worker's own memory can hide its batches."""


class Lanes(NamedTuple):
    """How many micro-batches are encoded at once."""

    at_once: int = 1
    threads: int = 0
    """Threads that compute each; with one lane torch's own."""


ONE_LANE = Lanes()


def lanes_of(plan: Path, encoder: Encoder, batches: int, threads: int) -> Lanes:
    """The lanes of a chunk within the memory budget; one on a card.

    plan: as ``limits.measured_peaks`` takes it. batches: micro-batches in a chunk. threads: of the job.
    """
    if encoder.device.type != "cpu" or batches == 1:
        return ONE_LANE
    return lanes_within(most_lanes(measured_peaks(plan)), encoder, batches, threads)


def lanes_within(most: int, encoder: Encoder, batches: int, threads: int) -> Lanes:
    """The lanes of a chunk on a processor, at most `most`; a compiled encoder has its number of threads."""
    if encoder.compiled:
        return Lanes(max(1, min(most, batches, threads // encoder.compiled_threads)), encoder.compiled_threads)
    at_once = best_lanes(batches, threads, most)
    return Lanes(at_once, threads // at_once)


def best_lanes(batches: int, threads: int, most: int) -> int:
    """The number of lanes, at most `most`, that takes least time for so many batches; of equal ones the largest."""

    def time(lanes: int) -> float:
        each = threads // lanes
        return math.ceil(batches / lanes) / each * (SHARING if each > 1 else 1)

    return min(range(1, max(1, min(batches, threads, most)) + 1), key=lambda lanes: (time(lanes), -lanes))


def most_lanes(measured: Mapping[str, Any]) -> int:
    """How many lanes keep the memory budget, and half of what a job asks for beyond planning; see ``plan_memory``."""
    batch, peak_mb = measured["micro_batch"], measured["peak_mb"]
    one_mb = (peak_mb - measured["peaks_mb"]["1"]) * batch / max(1, batch - 1)
    lane_mb = max(one_mb, LEAST_SHARE * peak_mb)
    left_mb = min(MARGIN * measured["budget_mb"] - peak_mb, HOST_SHARE * measured["host_mb"])
    return 1 + max(0, int(left_mb / lane_mb))


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], lanes: Lanes) -> Iterator[Result]:
    """Results of `work` in the order of `items`, which are taken one lane ahead."""
    if lanes.at_once == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    with _own_threads(lanes) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > lanes.at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _own_threads(lanes: Lanes) -> Iterator[ThreadPoolExecutor]:
    """A pool with a thread a lane, each of which computes with its own threads of torch."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(lanes.at_once, initializer=torch.set_num_threads, initargs=(lanes.threads,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)  # the number is also the process's
