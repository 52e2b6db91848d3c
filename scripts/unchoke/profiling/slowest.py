"""Pure: the images that take longest until they are tensors, and what is unusual about them."""

import math
from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import Any

SHARE = 0.01
UNUSUAL = 1.5
"""Times the median from which pixels or bytes are given as the reason."""


def slowest_images(
    seconds: Mapping[str, Mapping[str, float]], pictures: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The slowest hundredth, at least one, the slowest first.

    seconds: of each step, by path. pictures: ``pixels``, ``format`` and ``bytes`` by path.
    """
    total = {path: sum(steps.values()) for path, steps in seconds.items()}
    usual = {key: median(pictures[path][key] for path in total) for key in ("pixels", "bytes")}
    [(common, _)] = Counter(pictures[path]["format"] for path in total).most_common(1)
    middle = median(total.values())
    found = []
    for path in sorted(total, key=lambda path: -total[path])[: math.ceil(SHARE * len(total))]:
        step = max(seconds[path], key=lambda step: seconds[path][step])
        facts = {"path": path, "seconds": total[path], "times_median": total[path] / middle, "step": step}
        found.append({**facts, **pictures[path], "why": _why(pictures[path], usual, common)})
    return found


def _why(picture: Mapping[str, Any], usual: Mapping[str, float], common: str) -> str:
    said = [
        f"{picture[key] / usual[key]:.1f} × the {key} of the median image"
        for key in usual
        if picture[key] >= UNUSUAL * usual[key]
    ]
    if picture["format"] != common:
        said.append(f"{picture['format']}, where most are {common}")
    return "; ".join(said) or "nothing unusual in pixels, bytes or format"
