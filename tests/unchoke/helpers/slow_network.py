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


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    member.SAVE_EVERY_S = -1.0
    found = member.train_member(
        task_of(0.3, **EVERYTHING), 0.01, 0.1, 0, 3, folder / "states", SlowLog(folder / "steps.csv", 12, 3)
    )
    curves = {name: torch.from_numpy(curve) for name, curve in found.curves.items()}
    save_file(found.tensors | curves, folder / "member.safetensors")
