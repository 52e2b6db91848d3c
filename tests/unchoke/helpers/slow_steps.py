"""Steps of extraction and training that are made slow by a known time, and profiles beside the run without it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from types import ModuleType
from typing import Any

import pytest
import torch

from unchoke.images.steps import BATCH_STEPS
from unchoke.profiling import steps, training
from unchoke.profiling.rounds import WHOLE, in_rounds

COUNT, THREADS = 32, 2
"""Pictures of a sample, and threads that read them."""
DELAY_S, USUAL_S = 0.02, 0.001
"""What a slow step takes more a picture and thread, and on a made clock every step, s."""
KINDS: tuple[Any, ...] = (
    *(steps.Steps, steps.Keeping, steps.Without, steps.Timed),
    *(training.Recorded, training.Skipping),
)
MENDED = "mended"


class Clock:
    """A clock that goes on where it is told to, for work that one thread does."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Slow:
    """A step that takes DELAY_S more a picture, until it is mended; a batch waits as long as its threads would.

    clock: made; every step takes USUAL_S on it. None: the steps take their time, and the slow one sleeps.
    """

    def __init__(self, step: str, threads: int, clock: Clock | None) -> None:
        self.step, self.is_mended, self._threads, self._clock = step, False, threads, clock
        self.found: dict[str, list[float]] = {}
        """Seconds an image by arm and round, and of the mended run."""

    def take_of(self, taken: Any) -> Any:
        """The `take` of a kind of steps, slower."""

        def take(own: Any, name: str, function: Any, *args: Any, **kwargs: Any) -> Any:
            def slow(*given: Any, **more: Any) -> Any:
                self._wait(name, given)
                return function(*given, **more)

            return taken(own, name, slow, *args, **kwargs)

        return take

    def _wait(self, name: str, given: tuple[Any, ...]) -> None:
        """Before one call of the step `name`."""
        of_pictures = name in BATCH_STEPS and isinstance(given[0], torch.Tensor)  # else a picture, or a training's step
        share = len(given[0]) / self._threads if of_pictures else 1
        delay_s = DELAY_S * (name == self.step and not self.is_mended) + USUAL_S * (self._clock is not None)
        (self._clock.sleep if self._clock else time.sleep)(share * delay_s)

    def in_rounds(self, arms: Mapping[str, Callable[[], float]], seconds: float, seed: int) -> dict[str, list[float]]:
        """The same rounds, with a run of the mended whole in each."""

        def mended() -> float:
            self.is_mended = True
            found = arms[WHOLE]()
            self.is_mended = False
            return found

        self.found = in_rounds({**arms, MENDED: mended}, seconds, seed)
        return self.found

    @property
    def cost_s(self) -> float:
        """Seconds an image that mending the step saves, as measured."""
        pairs = zip(self.found[WHOLE], self.found[MENDED], strict=True)
        return median(whole - mended for whole, mended in pairs)


@contextmanager
def slowed(step: str, profile: ModuleType, threads: int = 1, *, is_made: bool = True) -> Iterator[Slow]:
    """Within it a step is slow wherever a profile takes it. profile: the module with its rounds. is_made: the clock."""
    clock = Clock() if is_made else None
    slow = Slow(step, threads, clock)
    with pytest.MonkeyPatch.context() as patch:
        for kind in KINDS:
            patch.setattr(kind, "take", slow.take_of(kind.take))
        patch.setattr(profile, "in_rounds", slow.in_rounds)
        if clock:
            patch.setattr(time, "perf_counter", clock.now)
        yield slow
