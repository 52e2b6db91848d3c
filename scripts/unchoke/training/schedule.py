"""Pure: the learning rate over the steps of a training."""

import math


def rate_factor(schedule: str, step: int, steps: int, warm_up: float = 0.0) -> float:
    """Factor of the learning rate, 0 to 1, at `step` (from 0) of `steps`.

    schedule: ``constant``, or ``cosine`` (Loshchilov and Hutter 2017, "SGDR", without restarts). warm_up: share of the
    steps over which the factor rises in a line; the schedule begins behind them.
    """
    rising = round(warm_up * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 1.0 if schedule == "constant" else (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2
