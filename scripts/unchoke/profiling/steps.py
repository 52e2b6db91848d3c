"""The steps of extraction as a profile takes them: kept, timed, or replaced by what was kept."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from PIL import Image

from unchoke.images.steps import BATCH_STEPS, DECODE, OPEN, PATCH_STEPS, PICTURE_STEPS, READ, Steps
from unchoke.profiling.slowest import pixels_of

P = ParamSpec("P")
T = TypeVar("T")

ROOM_BYTES = 2**30
"""For what was read, and for decoded pictures; beyond it, what is kept of the picture of the nearest size is taken."""
PIXEL_BYTES = 4
_HEAD = 16
"""Bytes by which Pillow knows a format."""


class Keyed(Steps):
    """Knows which picture each thread has before it."""

    def __init__(self) -> None:
        self._here = threading.local()

    def begin(self, path: str) -> None:
        """Until the next picture of this thread its steps belong to `path`."""
        self._here.path = path

    def key(self, step: str, given: tuple[Any, ...]) -> Any:
        """Of the result: the path of the picture, or the shape of the batch."""
        return tuple(given[0].shape) if step in BATCH_STEPS else self._here.path


class Keeping(Keyed):
    """Keeps the result of every step, and what is known of each picture."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, Any], Any] = {}
        self.pictures: dict[str, dict[str, Any]] = defaultdict(dict)
        self.taken: set[str] = set()
        """The steps that were taken."""
        self._room = {READ: ROOM_BYTES, DECODE: ROOM_BYTES}
        self._lock = threading.Lock()

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        found, key = function(*args, **kwargs), self.key(step, args)
        if step in (DECODE, OPEN):
            self.pictures[key] = _facts_of(args[0], found)
        with self._lock:
            self.taken.add(step)
            if step not in self._room or self._has_room(step, found):
                self.kept[step, key] = found
        return found

    def result(self, step: str, key: Any) -> Any:
        """The result of a step; of a picture that had no room, that of the nearest size. KeyError for none."""
        if (step, key) in self.kept or step not in self._room:
            return self.kept[step, key]
        pixels = pixels_of(self.pictures[key])
        known = [name for kind, name in self.kept if kind == step and name in self.pictures]
        return self.kept[step, min(known, key=lambda name: abs(pixels_of(self.pictures[name]) - pixels))]

    def _has_room(self, step: str, found: Any) -> bool:
        """Whether there is room for one more; there is for the first."""
        self._room[step] -= _bytes_of(found)
        return self._room[step] >= 0 or not any(kind == step for kind, _ in self.kept)


def _bytes_of(found: Any) -> int:
    if isinstance(found, Image.Image):
        return PIXEL_BYTES * found.width * found.height
    return len(found) if isinstance(found, bytes) else int(found.nbytes)


def _facts_of(data: Any, picture: Any) -> dict[str, Any]:
    """What a picture is. data: its bytes, its pixels, or the path of the image that a patch is cut from."""
    sides = {"width": int(picture.width), "height": int(picture.height)}
    if isinstance(data, Path):
        with data.open("rb") as file:
            return {**sides, "format": _format(file.read(_HEAD)), "bytes": data.stat().st_size}
    stored = isinstance(data, bytes)
    return {
        **sides,
        "format": _format(data) if stored else "array",
        "bytes": _bytes_of(data),
    }


def _format(data: bytes) -> str:
    """By its first bytes, as Pillow names it."""
    Image.init()
    names = (name for name, (_, accepts) in Image.OPEN.items() if accepts and accepts(data[:_HEAD]) is True)
    return next(names, "unknown")


class Without(Keyed):
    """Takes the kept result in the place of one step, and no time for it."""

    def __init__(self, step: str, keeping: Keeping) -> None:
        super().__init__()
        self.step, self._keeping = step, keeping

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if step != self.step:
            return function(*args, **kwargs)
        return self._keeping.result(step, self.key(step, args))  # type: ignore[no-any-return]


class Timed(Keyed):
    """Seconds of every step, for one thread that does one thing after the other."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.seconds: dict[str, float] = defaultdict(float)
        self.by_picture: dict[str, dict[str, float]] = defaultdict(dict)
        self._device = device

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        started = time.perf_counter()
        found = function(*args, **kwargs)
        of_picture = step in PICTURE_STEPS or step in PATCH_STEPS
        if not of_picture:
            wait_for(self._device)
        seconds = time.perf_counter() - started
        self.seconds[step] += seconds
        if of_picture:
            self.by_picture[self.key(step, args)][step] = seconds
        return found


def wait_for(device: torch.device) -> None:
    """Wait until a card has done what it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
