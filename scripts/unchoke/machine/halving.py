"""A computation that runs out of the card's memory goes on with half the micro-batch."""

from collections.abc import Callable
from typing import TypeVar

import torch

from unchoke.errors import UnchokeError

Result = TypeVar("Result")


def in_halves(attempt: Callable[[int], Result], micro_batch: int) -> tuple[Result, int]:
    """The result of `attempt` and its micro-batch, which is halved until memory is enough.

    Raises UnchokeError if memory is too short for a single patch.
    """
    while True:
        try:
            return attempt(micro_batch), micro_batch
        except torch.OutOfMemoryError as error:
            problem = str(error)
        # Outside the except block: its traceback would keep the tensors of the failed attempt alive.
        torch.cuda.empty_cache()
        if micro_batch == 1:
            raise UnchokeError(
                "The memory of the card does not hold one patch of the mask head.",
                found=problem,
                do="lower the head's width or patches.size, or raise gpu.vram_mb",
            )
        micro_batch = (micro_batch + 1) // 2
