"""The state of a training on disk: a killed training resumes from it and ends in the same bytes.

A state file is named by its key, a digest of everything that decides the result. Other settings or other data have
another key, so their state is never loaded. A command removes the folder of state files after writing its results.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from unchoke.files import write_atomic
from unchoke.hashing import sha256_json

SAVE_EVERY_S = 5.0
"""Shortest time between two saves, in seconds: the work that a kill may cost."""

Tensors = dict[str, torch.Tensor]


@dataclass
class State:
    """Everything that a training changes."""

    counters: dict[str, int]
    """Progress, such as the epochs or steps done."""
    tensors: Tensors
    """Parameters, optimizer moments, scores. No two share memory."""
    curves: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    """Figures over time: a tensor for each validation."""

    def record(self, **values: torch.Tensor) -> None:
        """Append one value to each curve."""
        for name, value in values.items():
            self.curves.setdefault(name, []).append(value)


def part_of(tensors: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    """The tensors whose names begin with `prefix` and a point, named without them."""
    return {name.removeprefix(f"{prefix}."): part for name, part in tensors.items() if name.startswith(f"{prefix}.")}


def training_key(version: int, settings: dict[str, Any], data: Any) -> str:
    """SHA-256 of everything that decides the result of a training.

    version: of the code, from ``versions``. settings: of the config. data: plain facts and digests of the input, with
    the members where a file holds some of them.
    """
    return sha256_json({"version": version, "settings": settings, "data": data})


class StateFile:
    """A safetensors file that holds the latest saved state of one training."""

    def __init__(self, folder: Path | None, key: str, every_s: float | None = None) -> None:
        """folder: of the state files; None: nothing is kept. every_s: shortest time between saves, s; None: 5."""
        self.path = folder / f"{key[:16]}.safetensors" if folder else None
        self._key, self._saved_s, self._every_s = key, time.monotonic(), every_s

    def is_due(self) -> bool:
        """Whether the last save, or the start, lies long enough back."""
        every_s = SAVE_EVERY_S if self._every_s is None else self._every_s
        return self.path is not None and time.monotonic() - self._saved_s > every_s

    def save(self, state: State) -> None:
        """Replace the file atomically by `state`."""
        if self.path is None:
            return
        named = {f"counters.{name}": torch.tensor(value) for name, value in state.counters.items()}
        named |= {f"tensors.{name}": tensor for name, tensor in state.tensors.items()}
        named |= {f"curves.{name}": torch.stack(values) for name, values in state.curves.items()}
        on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}
        write_atomic(self.path, save(on_cpu, metadata={"key": self._key}))
        self._saved_s = time.monotonic()

    def load(self) -> State | None:
        """The saved state, on the CPU; None where there is no readable one of this key."""
        named = self._read()
        if named is None:
            return None
        counters = {name: int(value) for name, value in part_of(named, "counters").items()}
        curves = {name: list(values) for name, values in part_of(named, "curves").items()}
        return State(counters, part_of(named, "tensors"), curves)

    def _read(self) -> Tensors | None:
        if self.path is None or not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                if (file.metadata() or {}).get("key") != self._key:
                    return None
                # Copies lie at 64-byte boundaries, as new tensors do: last bits of products may depend on it.
                return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118, not a dict
        except SafetensorError as error:
            print(f"warning: {self.path} cannot be read, so training starts from the beginning: {error}", flush=True)
            return None
