"""Batches of training rows, in an order that depends on seed and epoch alone."""

from collections.abc import Iterator

import numpy as np
import torch

from unchoke.heads.task import Task


class Batches:
    """The batches of some seeds, side by side."""

    def __init__(self, task: Task, seeds: list[int]) -> None:
        self._task, self._seeds = task, seeds
        self._buffer_ND = torch.empty(0, device=task.device)

    def places(self, steps: range) -> Iterator[torch.Tensor]:
        """Places of the rows of each step's batch, int64 (S, B)."""
        batches, size = self._task.batches, self._task.settings["batch_size"]
        for step in steps:
            epoch, batch = divmod(step, batches)
            if not batch or step == steps.start:
                order_SN = self._order(epoch)
            yield order_SN[:, batch * size : (batch + 1) * size]

    def _order(self, epoch: int) -> torch.Tensor:
        """Shuffled places of all rows, int64 (S, N)."""
        orders = [np.random.default_rng([seed, epoch]).permutation(len(self._task.y_N)) for seed in self._seeds]
        return torch.from_numpy(np.stack(orders)).to(self._task.device)

    def read(self, place_SB: torch.Tensor) -> torch.Tensor:
        """The rows of a batch, float32 (S, B, D), in memory that the next batch overwrites."""
        place_N, x_ND = place_SB.flatten(), self._task.x_ND
        if not self._task.prepared:
            return self._task.standardized(x_ND.index_select(0, place_N)).view(*place_SB.shape, -1)
        if len(self._buffer_ND) < len(place_N):
            self._buffer_ND = torch.empty((len(place_N), x_ND.shape[1]), device=x_ND.device)
        batch_ND = self._buffer_ND[: len(place_N)]
        torch.index_select(x_ND, 0, place_N, out=batch_ND)
        return batch_ND.view(*place_SB.shape, -1)
