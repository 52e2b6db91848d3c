"""How a computation goes on where the card's memory runs out: with half as much at a time."""

from collections.abc import Callable
from typing import TypeVar

import torch

from unchoke.errors import UnchokeError

Result = TypeVar("Result")


def in_halves(attempt: Callable[[int], Result], micro_batch: int) -> tuple[Result, int]:
    """What `attempt` gives with a micro-batch, and the micro-batch: halved until memory is enough.

    Raises UnchokeError where that of a single patch is not there.
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
