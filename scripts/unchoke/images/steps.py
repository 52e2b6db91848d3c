"""Pure: the steps of extraction and of training by name, which a profile can time or replace one by one."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

READ, DECODE, RESIZE, CROP, TO_TENSOR = PICTURE_STEPS = ("read", "decode", "resize", "crop", "to tensor")
"""What threads do to each picture."""
OPEN, CUT = PATCH_STEPS = ("open", "cut")
"""What they do to each patch: formats without windows are decoded whole as they are opened."""
TO_DEVICE, NORMALISE, FORWARD = BATCH_STEPS = ("to device", "normalise", "forward")
"""What is done to each batch."""
STEPS = (*PICTURE_STEPS, *PATCH_STEPS, *BATCH_STEPS)
INPUTS, FROZEN, BACKWARD, UPDATE = "inputs", "frozen part", "backward", "update"
TRAINING_STEPS = (READ, INPUTS, FROZEN, FORWARD, BACKWARD, UPDATE)
"""What is done to each batch of a training. INPUTS: to the device, as the network wants them; UPDATE: the optimizer's
step."""


class Steps:
    """Takes every step as it is; a profile has others."""

    def begin(self, path: str) -> None:
        """This thread begins with a picture."""

    def take(self, step: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a step."""
        return function(*args, **kwargs)


PLAIN = Steps()
