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
    times: float
    """Rate without the step over the rate of the same round with it."""
    images_per_s: float
    """Without the step: `times` the rate of the whole run, so that both agree whatever the machine did meanwhile."""
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
    times = median(times_R)
    return Gain(step, times, times / median(whole_R), float(high - low), float(low), saved)


def noise_of(again: Gain) -> float:
    """The upper quartile of what the whole run "gains" over itself. again: a second run of each round."""
    return again.low + again.spread


def bottleneck_of(gains: Sequence[Gain], noise: float) -> Gain | None:
    """The step without which the run gains most; None where no gain is beyond the noise."""
    return max((gain for gain in gains if gain.beyond(noise)), key=lambda gain: gain.times, default=None)


def verdict(
    gains: Sequence[Gain], images_per_s: float, noise: float, remedies: Mapping[str, Gain], unit: str = "images"
) -> str:
    """One sentence.

    remedies: gains of settings, by the name of the step that they make faster. unit: what is counted.
    """
    found = bottleneck_of(gains, noise)
    best = found or max(gains, key=lambda gain: gain.times)
    rates = f"{rate_text(images_per_s)} to {rate_text(best.images_per_s)} {unit}/s"
    if found:
        text = f"{found.step} is the bottleneck; without it at most {found.times:.2f} × "
        text += f"({rates}, ± {found.spread / 2:.2f})"
    else:
        text = f"No step alone is the bottleneck: the most that one would give is {best.times:.2f} × ({best.step}, "
        text += f"{rates}; quartiles {best.low:.2f} to {best.low + best.spread:.2f}, noise to {noise:.2f})"
    remedy = remedies.get(best.step)
    return f"{text}{_helped(remedy, best) if remedy and remedy.beyond(noise) else ''}."


def _helped(remedy: Gain, best: Gain) -> str:
    """What a setting gives; more than the step costs, where it makes others faster too."""
    part = " of that" if remedy.times <= best.times else ", as other steps get faster with it"
    return f"; {remedy.step} gives {remedy.times:.2f} ×{part}"


def rate_text(per_s: float) -> str:
    """A rate with about three digits: ``7.1``, ``1,187``."""
    return f"{per_s:,.1f}" if per_s < 100 else f"{per_s:,.0f}"
