"""Products whose bits do not depend on the number of threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def single_products() -> Iterator[int]:
    """Run every matrix product in the calling thread alone; yields the number of threads that may call at once.

    Threads that share a product wait for one another and for other processes. Threads with blocks of their own do not,
    and sums over blocks are the same for any number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, "blas"):
            yield threads
    finally:
        torch.set_num_threads(threads)
