"""A training whose steps two processes on CPUs share: ``python two_processes.py FOLDER``."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from small_networks import CPU, EVERYTHING, task_of

from unchoke.networks import step as steps
from unchoke.networks.cards import Cards, shared_steps
from unchoke.networks.member import Member, train_member
from unchoke.networks.step_log import StepLog

SETTINGS = {**EVERYTHING, "batch_size": 29, "epochs": 4}  # the second batch of an epoch has one image


def train(cards: Cards | None = None, log: StepLog | None = None, states: Path | None = None) -> Member:
    torch.set_num_threads(1)
    return train_member(task_of(0.3, **SETTINGS), 0.01, 0.1, 0, 8, states, log, cards)


def tight(learner: steps.Learner, batch: steps.Batch, step: int, size: int) -> torch.Tensor:
    """Runs out of memory with more than 4 images."""
    if size > 4:
        raise torch.OutOfMemoryError("tried to allocate 2 GB")
    return once(learner, batch, step, size)


once = steps.gradients_at_once

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with shared_steps(2, CPU, [sys.executable, *sys.argv]) as cards:
        if cards.rank == 1:  # the other one follows
            steps.gradients_at_once = tight
        found = train(cards, StepLog(folder / f"steps{cards.rank}.csv", 8, 4), folder / "states")
        described = {"micro_batch": str(found.facts["micro_batch"])}
        save_file(found.tensors, folder / f"member{cards.rank}.safetensors", described)
