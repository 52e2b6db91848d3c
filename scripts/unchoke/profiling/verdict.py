"""Pure: what a whole run gains without one of its steps, and which is the bottleneck, beyond the noise of rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

LEAST_GAIN = 1.05
"""Below it no step is called the bottleneck."""


@dataclass(frozen=True)
class Gain:
    """The whole run without a step beside the whole run; medians over rounds."""

    step: str
    images_per_s: float
    """Without the step."""
    times: float
    """Rate without the step over the rate of the same round with it."""
    spread: float
    """Distance between the quartiles of `times` over rounds."""
    low: float
    """The lower quartile."""
    saved_s: float
    """Seconds an image."""

    def beyond(self, noise: float) -> bool:
        """Whether three rounds of four gain more than `noise`, and more than is worth naming."""
        return self.low > max(noise, LEAST_GAIN)


def gain_of(step: str, whole_R: Sequence[float], without_R: Sequence[float]) -> Gain:
    """From seconds an image in each of R rounds, with and without the step."""
    times_R = [whole / without for whole, without in zip(whole_R, without_R, strict=True)]
    low, high = np.quantile(times_R, [0.25, 0.75])
    saved = median(whole - without for whole, without in zip(whole_R, without_R, strict=True))
    return Gain(step, 1 / median(without_R), median(times_R), float(high - low), float(low), saved)


def noise_of(again: Gain) -> float:
    """The upper quartile of what the whole run "gains" over itself. again: a second run of each round."""
    return again.low + again.spread


def bottleneck_of(gains: Sequence[Gain], noise: float) -> Gain | None:
    """The step without which the run gains most; None where no gain is beyond the noise."""
    return max((gain for gain in gains if gain.beyond(noise)), key=lambda gain: gain.times, default=None)


def verdict(gains: Sequence[Gain], images_per_s: float, noise: float, remedies: Mapping[str, Gain]) -> str:
    """One sentence. remedies: gains of settings, by the name of the step that they make faster."""
    found = bottleneck_of(gains, noise)
    if found is None:
        best = max(gains, key=lambda gain: gain.times)
        ends = f"quartiles {best.low:.2f} to {best.low + best.spread:.2f}, noise to {noise:.2f}"
        return (
            f"No step alone is the bottleneck at {images_per_s:,.0f} images/s: the most that one would give is "
            f"{best.times:.2f} × ({best.step}; {ends})."
        )
    text = f"{found.step} is the bottleneck; without it at most {found.times:.2f} × "
    text += f"({images_per_s:,.0f} to {found.images_per_s:,.0f} images/s, ± {found.spread / 2:.2f})"
    if found.step in remedies:
        remedy = remedies[found.step]
        text += f"; {remedy.step} gives {remedy.times:.2f} × of that"
    return text + "."
