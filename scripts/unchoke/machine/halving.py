"""A computation that runs out of memory goes on with half the micro-batch."""

from collections.abc import Callable
from typing import TypeVar

import torch

from unchoke.errors import UnchokeError

Result = TypeVar("Result")
SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "status_alloc_failed")
"""Signs in errors without a type of their own: of CUDA, torch's CPU allocator, cuBLAS, cuDNN."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, by its type or its text."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def in_halves(attempt: Callable[[int], Result], micro_batch: int) -> tuple[Result, int]:
    """The result of `attempt` and its micro-batch, which is halved until memory is enough.

    Raises UnchokeError if memory is too short for a single image or patch.
    """
    while True:
        try:
            return attempt(micro_batch), micro_batch
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            problem = str(error)
        # Outside the except block: its traceback would keep the tensors of the failed attempt alive.
        torch.cuda.empty_cache()
        if micro_batch == 1:
            raise UnchokeError(
                "Memory does not hold a single image or patch.",
                found=problem,
                do="take a smaller model, or smaller images or patches; or raise gpu.vram_mb",
            )
        micro_batch = (micro_batch + 1) // 2
