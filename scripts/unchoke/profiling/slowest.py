"""Pure: the images that take longest until they are tensors, and what is unusual about them."""

import math
from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import Any

from unchoke.images.steps import OPEN

SHARE = 0.01
NOTHING = "nothing unusual in pixels, bytes or format"
UNUSUAL = 1.5
"""Times the median from which pixels or bytes are given as the reason."""


def slowest_images(
    seconds: Mapping[str, Mapping[str, float]], pictures: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The slowest hundredth, at least one, the slowest first.

    seconds: of each step, by path. pictures: ``width``, ``height``, ``format`` and ``bytes`` by path.
    """
    total = {path: sum(steps.values()) for path, steps in seconds.items()}
    sizes = {path: {"pixels": pixels_of(pictures[path]), "bytes": pictures[path]["bytes"]} for path in total}
    usual = {key: median(size[key] for size in sizes.values()) for key in ("pixels", "bytes")}
    [(common, _)] = Counter(pictures[path]["format"] for path in total).most_common(1)
    middle = median(total.values())
    found = []
    for path in sorted(total, key=lambda path: -total[path])[: math.ceil(SHARE * len(total))]:
        step = max(seconds[path], key=lambda step: seconds[path][step])
        facts = {"path": path, "seconds": total[path], "times_median": total[path] / middle, "step": step}
        said = _unusual(sizes[path], usual)
        if pictures[path]["format"] != common:
            said.append(f"{pictures[path]['format']}, where most are {common}")
        if step == OPEN:
            said.append("the first patch of its image, which is opened for all of them")
        found.append(
            {**facts, **pictures[path], "why": "; ".join(said) or "nothing unusual in pixels, bytes or format"}
        )
    return found


def _unusual(size: Mapping[str, float], usual: Mapping[str, float]) -> list[str]:
    return [
        f"{size[key] / usual[key]:.1f} × the {key} of the median image"
        for key in usual
        if size[key] >= UNUSUAL * usual[key]
    ]


def pixels_of(picture: Mapping[str, Any]) -> int:
    """How many pixels a picture has."""
    return int(picture["width"] * picture["height"])
