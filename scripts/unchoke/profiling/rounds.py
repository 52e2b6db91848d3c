"""Ways to do the same work, measured in interleaved rounds; and what follows for each step."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np

from unchoke.images.steps import PATCH_STEPS, PICTURE_STEPS
from unchoke.profiling.verdict import Gain, bottleneck_of, gain_of, noise_of, verdict

LEAST_ROUNDS, MOST_ROUNDS = 3, 7
WHOLE, AGAIN, ALONE, WATCHED = "the whole run", "the whole run again", "one by one", "watched"


def in_rounds(arms: Mapping[str, Callable[[], float]], seconds: float, seed: int) -> dict[str, list[float]]:
    """What each arm returns, seconds an image, in rounds with an order of their own, as many as `seconds` allow."""
    names = list(arms)
    found: dict[str, list[float]] = {name: [] for name in names}
    started, random = time.perf_counter(), np.random.default_rng(seed)
    for count in range(1, MOST_ROUNDS + 1):
        before = time.perf_counter()
        for place in random.permutation(len(names)):
            found[names[place]].append(arms[names[place]]())
        now = time.perf_counter()
        if count >= LEAST_ROUNDS and now - started + (now - before) > seconds:
            break
    return found


def judged(
    seconds: Mapping[str, Sequence[float]],
    alone_s: Mapping[str, float],
    remedies: Mapping[str, Sequence[str]],
    unit: str = "images",
) -> dict[str, Any]:
    """Times, gains and the verdict, as plain JSON.

    seconds: an image, by arm and round: the whole run twice, one by one, and without each step that can be replaced.
    alone_s: of each step by itself, s an image. remedies: by an arm that stands for a setting, the steps that it helps.
    unit: what is counted.
    """
    whole_R = seconds[WHOLE]
    gains = {step: gain_of(step, whole_R, seconds[step]) for step in alone_s if step in seconds}
    helps = {arm: gain_of(arm, whole_R, seconds[arm]) for arm in remedies if arm in seconds}
    rising = sorted(helps.items(), key=lambda each: each[1].times)
    by_step = {step: gain for arm, gain in rising for step in remedies[arm]}
    noise = noise_of(gain_of(AGAIN, whole_R, seconds[AGAIN]))
    rate, found = 1 / median(whole_R), bottleneck_of(list(gains.values()), noise)
    rest = max(0.0, median(seconds[ALONE]) - sum(alone_s.values()))
    total = sum(alone_s.values()) + rest
    return {
        "verdict": verdict(list(gains.values()), rate, noise, by_step, unit),
        "bottleneck": found.step if found else None,
        "images_per_s": rate,
        "noise": noise,
        "spread": float(np.subtract(*np.quantile(whole_R, [0.75, 0.25])) / median(whole_R)),
        "steps": [_row(step, alone, alone / total, gains.get(step), noise) for step, alone in alone_s.items()],
        "rest": {"alone_s": rest, "share": rest / total},
        "remedies": [{**asdict(gain), "beyond_noise": gain.beyond(noise)} for gain in helps.values()],
        "rounds": len(whole_R),
    }


def _row(step: str, alone_s: float, share: float, gain: Gain | None, noise: float) -> dict[str, Any]:
    """A step; its gain is None where it cannot be replaced."""
    without = {**asdict(gain), "beyond_noise": gain.beyond(noise)} if gain else dict.fromkeys(_GAIN)
    each = "picture" if step in (*PICTURE_STEPS, *PATCH_STEPS) else "batch"
    return {**without, "step": step, "by": each, "alone_s": alone_s, "share": share}


_GAIN = ("times", "images_per_s", "spread", "low", "saved_s", "beyond_noise")
