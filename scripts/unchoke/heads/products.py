"""Products whose bits do not depend on the number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def single_products() -> Iterator[int]:
    """Let every product run in the thread that asks for it; how many threads may ask at once.

    Threads that share a product wait for one another, and for whoever else has a core; threads with blocks of their own
    do not, and the sums over blocks are the same for any number of them.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, "blas"):
            yield threads
    finally:
        torch.set_num_threads(threads)
