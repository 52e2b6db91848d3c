"""Pure: the learning rate over the steps of a training."""

import math


def rate_factor(schedule: str, step: int, steps: int) -> float:
    """Factor of the learning rate, 0 to 1, at `step` (from 0) of `steps`.

    schedule: ``constant``, or ``cosine`` (Loshchilov and Hutter 2017, "SGDR", without restarts).
    """
    return 1.0 if schedule == "constant" else (1 + math.cos(math.pi * step / steps)) / 2
