"""A training that takes its time, to be killed: ``python slow_training.py FOLDER`` prints every epoch that it ends."""

import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from small_features import clouds, rows_of

from unchoke.config.heads import Linear
from unchoke.heads.group import Group
from unchoke.heads.kinds import linear
from unchoke.training import resume

EPOCHS = 10
SETTINGS = Linear(
    kind="linear", choose_by="accuracy", learning_rates=[0.01, 0.1], seeds=[0, 1], epochs=EPOCHS, batch_size=16
).model_dump()


def train(folder: Path) -> bytes:
    """The bytes of the trained members; state files go below `folder`."""
    torch.set_num_threads(1)
    train_rows, val_rows = (rows_of(*clouds([30, 30, 20], 6, seed)) for seed in (1, 2))
    fitted = linear.fit(train_rows, val_rows, 3, SETTINGS, torch.device("cpu"), folder / "states")
    tensors = {f"{place}.{name}": part for place, one in enumerate(fitted.replicates) for name, part in one.items()}
    tensors |= {name: torch.from_numpy(curve).contiguous() for name, curve in fitted.curves.items()}
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "members.safetensors")
    return (folder / "members.safetensors").read_bytes()


if __name__ == "__main__":
    run_epoch = Group.run_epoch

    def run_slowly(group: Group, state: resume.State) -> None:
        run_epoch(group, state)
        print("epoch", state.counters["epoch"], flush=True)
        time.sleep(0.05)

    Group.run_epoch = run_slowly  # type: ignore[method-assign]
    resume.SAVE_EVERY_S = 0
    train(Path(sys.argv[1]))
