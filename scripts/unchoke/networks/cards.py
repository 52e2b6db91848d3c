"""Several cards that share each step, one process each; on CPUs several processes, by which it is tested.

Each process computes the gradients of its rows of a batch, and all are added up. A batch, its masks and its divisor are
the same whatever the number of processes, so with frozen batch norm the sum is the gradient of one process, but for
rounding. ``python -m torch.distributed.run --standalone --nproc-per-node K`` starts K processes.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import distributed

from unchoke.errors import UnchokeError


@dataclass(frozen=True)
class Cards:
    """The processes of a training, seen from one of them."""

    rank: int = 0
    """Of this process; the first one writes files."""
    count: int = 1

    def rows(self, rows: int) -> slice:
        """This process's rows of a batch; consecutive, and nearly as many as the others have."""
        start, stop = (rows * place // self.count for place in (self.rank, self.rank + 1))
        return slice(start, stop)

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Let each tensor be its sum over all processes."""
        if self.count > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)

    def any(self, here: bool, device: torch.device) -> bool:
        """Whether something is so in one of the processes."""
        if self.count == 1:
            return here
        flag = torch.tensor(float(here), device=device)
        self.add_up([flag])
        return bool(flag)


def join_cards(count: int, device: torch.device) -> tuple[Cards, torch.device]:
    """This process's place among `count`, once all are there, and its device.

    UnchokeError where there are fewer cards than that, or the processes were not started together.
    """
    if count == 1:
        return Cards(), device
    if device.type == "cuda" and torch.cuda.device_count() < count:
        raise UnchokeError(
            "There are fewer cards than the network shall be trained on.",
            found=f"{torch.cuda.device_count()} cards",
            expected=f"cards: {count}",
            do="lower cards",
        )
    if int(os.environ.get("WORLD_SIZE", "1")) != count:
        raise UnchokeError(
            "The processes of this training were not started together.",
            found=f"{os.environ.get('WORLD_SIZE', '1')} processes",
            expected=f"cards: {count}",
            do=f"start it with: python -m torch.distributed.run --standalone --nproc-per-node {count}",
        )
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Cards(distributed.get_rank(), count), device
