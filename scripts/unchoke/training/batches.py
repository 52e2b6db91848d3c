"""Batches in a random order within bounded memory. 1 MB is 2**20 bytes.

A chunk of a store is decoded whole even for one row. So chunks are shuffled, some are read together, and their rows are
shuffled among themselves.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from unchoke.machine.memory import MB

Arrays = dict[str, NDArray]
"""Arrays by name, all with as many rows."""
Read = Callable[[NDArray[np.int64]], Arrays]
"""Reads the rows at some places, in their order."""


def row_mb(read: Read) -> float:
    """Memory of one row, MB."""
    return sum(part.nbytes for part in read(np.zeros(1, np.int64)).values()) / MB


def batch_count(rows: int, batch_size: int) -> int:
    """Number of batches in an epoch."""
    return math.ceil(rows / batch_size)


def reads_of(
    rows: int, rng: np.random.Generator, chunk_size: int, size_mb: float, budget_mb: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The places of each read, increasing, and the order in which its rows are given out.

    chunk_size: consecutive places of a chunk. size_mb: memory of a row. One read takes half of the budget, since the
    rest of the read before may still wait for its batch; if everything fits, everything is shuffled together.
    """
    starts = rng.permutation(np.arange(0, rows, chunk_size))
    at_once = len(starts)
    if rows * size_mb > budget_mb:
        at_once = max(1, int(budget_mb / 2 / (chunk_size * size_mb)))
    for first in range(0, len(starts), at_once):
        several = starts[first : first + at_once]
        place_N = np.sort(np.concatenate([np.arange(start, min(start + chunk_size, rows)) for start in several]))
        yield place_N, rng.permutation(len(place_N))


def random_batches(
    read: Read,
    rows: int,
    batch_size: int,
    rng: np.random.Generator,
    chunk_size: int,
    budget_mb: float,
    first: int = 0,
) -> Iterator[Arrays]:
    """Every row once, in batches that are full but for the last; the same for the same state of `rng`.

    first: the batch to begin with; what only those before it need is not read. Other arguments as of ``reads_of``.
    """
    reads = list(reads_of(rows, rng, chunk_size, row_mb(read), budget_mb))
    number_N = np.repeat(np.arange(len(reads)), [len(place_N) for place_N, _ in reads])
    row_N = np.concatenate([order_N for _, order_N in reads])
    last, held = -1, Arrays()
    for start in range(first * batch_size, rows, batch_size):
        number_B, row_B = (part[start : start + batch_size] for part in (number_N, row_N))
        parts = []
        for number in np.unique(number_B).tolist():
            if number != last:
                last, held = number, read(reads[number][0])
            parts.append({name: part[row_B[number_B == number]] for name, part in held.items()})
        yield _joined(parts)


def _joined(parts: list[Arrays]) -> Arrays:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
