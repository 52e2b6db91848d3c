"""Where the training of a mask head stands, and how that is kept on the disk and found again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save

from unchoke.files import write_atomic
from unchoke.mask_heads.member import Member, Tensors, below

CURVES = ("train_loss", "val_iou")


@dataclass
class State:
    """What an epoch changes."""

    epoch: int
    micro_batch: int
    """Patches that memory holds at once, at most a batch."""
    members: list[Member]
    """All seeds of the first setting, then all of the next, …"""
    curves: dict[str, list[NDArray[np.float32]]]
    """Those of ``CURVES``: (settings, seeds) for each epoch."""


def save_state(state: State, draft: Path, key: str) -> None:
    """Write all of it; key: says which training this is."""
    tensors: Tensors = {"at": torch.tensor([state.epoch, state.micro_batch])}
    for place, member in enumerate(state.members):
        tensors |= {f"{place}.{name}": part.cpu().contiguous().clone() for name, part in member.tensors().items()}
    tensors |= {f"curves.{name}": torch.from_numpy(np.stack(curve)) for name, curve in state.curves.items()}
    write_atomic(draft, save(tensors, metadata={"key": key}))


def resume(state: State, draft: Path, key: str) -> bool:
    """Bring a first state to what a draft holds; False, and nothing changed, where it is of another training."""
    with safe_open(draft, "pt") as file:
        if file.metadata()["key"] != key:
            return False
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    state.epoch, state.micro_batch = tensors["at"].tolist()
    for place, member in enumerate(state.members):
        member.restore(below(tensors, str(place)))
    state.curves = {name: list(tensors[f"curves.{name}"].numpy()) for name in CURVES}
    return True
