"""Several cards that share each step, one process each; on CPUs several processes, by which it is tested.

Each process computes the gradients of its rows of a batch, and all are added up. A batch, its masks and its divisor are
the same whatever the number of processes, so with frozen batch norm the sum is the gradient of one process, but for
rounding.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from unchoke.errors import UnchokeError
from unchoke.machine.receipts import FLAG

PATIENCE = timedelta(minutes=10)
"""How long processes wait for each other."""
_PORT, _RANK = "UNCHOKE_CARDS_PORT", "UNCHOKE_CARDS_RANK"  # environment of the processes that are started


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


def same_command(arguments: Sequence[str]) -> list[str]:
    """Runs the command of this process once more, without the receipt, which the first process alone writes.

    arguments: of this process, as of ``sys.argv``.
    """
    kept = list(arguments)
    if FLAG in kept:
        place = kept.index(FLAG)
        del kept[place : place + 2]
    return [sys.executable, *kept]


@contextlib.contextmanager
def shared_steps(count: int, device: torch.device, command: Sequence[str]) -> Iterator[Cards]:
    """This process's place among the `count` that share each step, once all are there.

    The first one starts the others, by `command`, each with a card of its own, and ends them with itself; what they
    print beside errors is lost. One that ends early breaks the connection, and so the training.
    UnchokeError where there are fewer cards than `count`.
    """
    if count == 1:
        yield Cards()
        return
    port, rank = os.environ.get(_PORT), int(os.environ.get(_RANK, "0"))
    others = [] if port else visible_cards(count, device)[1:]
    port = port or str(free_port())
    with contextlib.ExitStack() as started:
        for place, card in enumerate(others, 1):
            given = {**os.environ, _PORT: port, _RANK: str(place), **card}
            process = started.enter_context(subprocess.Popen(command, env=given, stdout=subprocess.DEVNULL))
            started.callback(process.kill)
        backend = "nccl" if device.type == "cuda" else "gloo"
        address = f"tcp://127.0.0.1:{port}"
        distributed.init_process_group(backend, init_method=address, rank=rank, world_size=count, timeout=PATIENCE)
        try:
            yield Cards(rank, count)
            distributed.barrier()
        finally:
            distributed.destroy_process_group()


def visible_cards(count: int, device: torch.device) -> list[dict[str, str]]:
    """What the environment of each process says of its card; nothing where a CPU computes."""
    if device.type != "cuda":
        return [{}] * count
    cards = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(torch.cuda.device_count())))).split(",")
    if len(cards) < count:
        raise UnchokeError(
            "There are fewer cards than the network shall be trained on.",
            found=f"{len(cards)} cards",
            expected=f"cards: {count}",
            do="lower cards",
        )
    return [{"CUDA_VISIBLE_DEVICES": card.strip()} for card in cards[:count]]


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
