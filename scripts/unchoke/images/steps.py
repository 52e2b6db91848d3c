"""Pure: the steps of extraction by name, each taken by itself, so that a profile can time or replace it."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

READ, DECODE, RESIZE, CROP, TO_TENSOR = PICTURE_STEPS = ("read", "decode", "resize", "crop", "to tensor")
"""What threads do to each picture."""
TO_DEVICE, NORMALISE, FORWARD = BATCH_STEPS = ("to device", "normalise", "forward")
"""What is done to each batch."""
STEPS = (*PICTURE_STEPS, *BATCH_STEPS)


class Steps:
    """Takes every step as it is; a profile has others."""

    def begin(self, path: str) -> None:
        """This thread begins with a picture."""

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a step."""
        return function(*args, **kwargs)


PLAIN = Steps()
