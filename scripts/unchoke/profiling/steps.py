"""The steps of extraction as a profile takes them: kept, timed, or replaced by what was kept."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from PIL import Image

from unchoke.images.steps import BATCH_STEPS, DECODE, Steps

P = ParamSpec("P")
T = TypeVar("T")

ROOM_BYTES = 2**30
"""For decoded pictures; those beyond are replaced by the one of the nearest size that is kept."""
PIXEL_BYTES = 4


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
        self._room = ROOM_BYTES
        self._lock = threading.Lock()

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        found, key = function(*args, **kwargs), self.key(step, args)
        if step == DECODE:
            self._describe(key, args[0], found)
        with self._lock:
            if step != DECODE or self._has_room(found):
                self.kept[step, key] = found
        return found

    def result(self, step: str, key: Any) -> Any:
        """The result of a step; of a decoded picture that had no room, that of the nearest size. KeyError for none."""
        if (step, key) in self.kept or step != DECODE:
            return self.kept[step, key]
        pixels = self.pictures[key]["pixels"]
        known = [name for kind, name in self.kept if kind == DECODE]
        nearest = min(known, key=lambda name: abs(self.pictures[name]["pixels"] - pixels))
        return self.kept[DECODE, nearest]

    def _has_room(self, picture: Any) -> bool:
        self._room -= PIXEL_BYTES * picture.width * picture.height
        return self._room >= 0 or not any(step == DECODE for step, _ in self.kept)

    def _describe(self, path: str, data: Any, picture: Any) -> None:
        stored = isinstance(data, bytes)
        self.pictures[path] = {
            "pixels": picture.width * picture.height,
            "format": _format(data) if stored else "array",
            "bytes": len(data) if stored else int(data.nbytes),
        }


def _format(data: bytes) -> str:
    """By its first bytes, as Pillow names it."""
    Image.init()
    names = (name for name, (_, accepts) in Image.OPEN.items() if accepts and accepts(data[:16]) is True)
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
        if step in BATCH_STEPS:
            wait_for(self._device)
        seconds = time.perf_counter() - started
        self.seconds[step] += seconds
        if step not in BATCH_STEPS:
            self.by_picture[self.key(step, args)][step] = seconds
        return found


def wait_for(device: torch.device) -> None:
    """Wait until a card has done what it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
