"""A network's training that takes its time, to be killed: ``python slow_network.py FOLDER`` prints every step."""

import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from small_networks import EVERYTHING, task_of

from unchoke.networks import member
from unchoke.networks.step_log import StepLog, StepRow


class SlowLog(StepLog):
    """Says each step, and waits, so that a kill finds a training at work."""

    def step(self, row: StepRow) -> None:
        super().step(row)
        print("step", row.step, flush=True)
        time.sleep(0.03)


def train(folder: Path, log: StepLog | None = None) -> bytes:
    """The bytes of the trained member; state files go below `folder`."""
    torch.set_num_threads(1)
    found = member.train_member(task_of(0.3, **EVERYTHING), 0.01, 0.1, 0, 3, folder / "states", log)
    curves = {name: torch.from_numpy(curve) for name, curve in found.curves.items()}
    save_file(found.tensors | curves, folder / "member.safetensors")
    return (folder / "member.safetensors").read_bytes()


if __name__ == "__main__":
    member.SAVE_EVERY_S = -1.0
    train(Path(sys.argv[1]), SlowLog(Path(sys.argv[1], "steps.csv"), 12, 3))
