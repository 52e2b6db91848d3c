"""Stage: a teacher: the user's own Python file and a checkpoint.

A teacher's file has

    load(checkpoint: Path, device: torch.device) -> Callable[[Tensor], Mapping[str, Tensor]]

The returned function takes patches, float32 (B, 3, S, S) from 0 to 1 on the device. It returns "logits" (B, K, h, w),
classes in the order of ``dataset.classes``, and optionally "features" (B, C, h, w).
"""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.files import file_sha256
from unchoke.machine.halving import in_halves
from unchoke.regular_files import check_regular, named

LOGITS, FEATURES = "logits", "features"
MICRO_BATCH = 4  # patches at once; halved where memory runs out
Call = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]


@dataclass(frozen=True)
class Teacher:
    """A teacher on its device. Made by ``load_teacher``; ``extract_patches`` takes it as it takes an encoder."""

    call: Call
    device: torch.device
    image_size: int
    """Side of a patch, px."""
    n_classes: int
    features: bool
    """Whether its features are wanted too."""
    file: Path
    sha256: dict[str, str]
    """Of its file and of its checkpoint."""

    @property
    def arrays(self) -> list[str]:
        """Names of its outputs."""
        return [LOGITS, FEATURES] if self.features else [LOGITS]

    def encode(self, images_B3HW: torch.Tensor) -> dict[str, NDArray[np.float32]]:
        """Its outputs for a batch, uint8 (B, 3, S, S) on the CPU; each is float32 (B, …, h, w).

        Raises UnchokeError where an output has a wrong shape, or a value that is not finite.
        """

        def attempt(size: int) -> list[dict[str, NDArray[np.float32]]]:
            return [self._answer(images_B3HW[start : start + size]) for start in range(0, len(images_B3HW), size)]

        parts, _ = in_halves(attempt, len(images_B3HW))
        return {name: np.concatenate([part[name] for part in parts]) for name in self.arrays}

    @torch.inference_mode()
    def _answer(self, images_B3HW: torch.Tensor) -> dict[str, NDArray[np.float32]]:
        patches = images_B3HW.to(self.device).float().div_(255)
        try:
            found = self.call(patches)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise _failed(self.file, error) from error
        return {name: self._checked(found, name, len(patches)) for name in self.arrays}

    def _checked(self, found: Any, name: str, patches: int) -> NDArray[np.float32]:
        expected = f"{name} ({patches}, {self.n_classes if name == LOGITS else 'C'}, h, w), finite"
        values = found.get(name) if isinstance(found, Mapping) else None
        if not isinstance(values, torch.Tensor):
            shown = f"only {', '.join(map(str, found))}" if isinstance(found, Mapping) else type(found).__name__
            raise _unfit(self.file, shown, f"a dict with the tensor {expected}")
        width = self.n_classes if name == LOGITS else values.shape[1] if values.ndim == 4 else 0
        if values.ndim != 4 or values.shape[:2] != (patches, width):
            raise _unfit(self.file, f"{name} {tuple(values.shape)}", expected)
        if not torch.isfinite(values).all():
            raise _unfit(self.file, f"{name} with numbers that are not finite", expected)
        return values.float().cpu().numpy()


def _unfit(file: Path, found: str, expected: str) -> UnchokeError:
    return UnchokeError(
        "The teacher gives something else than it should.",
        found=found,
        expected=expected,
        where=str(file),
        do="correct what load() in this file returns; K are the classes of dataset.classes in their order",
    )


def _failed(file: Path, error: Exception) -> UnchokeError:
    """The error with the last line of the teacher's file that it passed."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return UnchokeError(
        "The teacher has failed.",
        found=f"{type(error).__name__}: {error}",
        where=f"{file}, line {lines[-1]}" if lines else str(file),
        do="correct the file, or teacher.checkpoint; it is called with patches, float32 (B, 3, S, S) from 0 to 1",
    )


def keep_teacher(
    file: Path, checkpoint: Path, size: int, n_classes: int, features: bool, device: torch.device
) -> Teacher:
    """As ``load_teacher``, but loaded once a process, until one of the two files changes."""
    times = tuple(path.stat().st_mtime_ns for path in (file, checkpoint))
    return _loaded(file.resolve(), checkpoint.resolve(), size, n_classes, features, device, times)


@lru_cache(maxsize=1)
def _loaded(
    file: Path,
    checkpoint: Path,
    size: int,
    n_classes: int,
    features: bool,
    device: torch.device,
    times: tuple[int, ...],
) -> Teacher:
    return load_teacher(file, checkpoint, size, n_classes, features, device)


def load_teacher(
    file: Path, checkpoint: Path, size: int, n_classes: int, features: bool, device: torch.device
) -> Teacher:
    """The teacher of a Python file and a checkpoint; size: of patches, px.

    Raises UnchokeError where the file has no ``load``, or fails.
    """
    for path in (file, checkpoint):
        with named("A file of the teacher cannot be read.", path, "correct teacher.file or teacher.checkpoint"):
            check_regular(path)
    sha256 = {"file_sha256": file_sha256(file), "weights_sha256": file_sha256(checkpoint)}
    name = f"unchoke_teacher_{sha256['file_sha256'][:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UnchokeError("The teacher's file is no Python.", found=file.name, expected="a .py file", where=str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the file look it up there
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "load"):
            raise _unfit(file, "no function load", "load(checkpoint: Path, device: torch.device)")
        call = module.load(checkpoint, device)
    except UnchokeError:
        raise
    except Exception as error:
        raise _failed(file, error) from error
    return Teacher(call, device, size, n_classes, features, file, sha256)
