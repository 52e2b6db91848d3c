"""Pure: a word as a file of annotations has it, before it is mended."""

import math
from collections.abc import Iterable
from typing import NamedTuple

Corners = tuple[tuple[float, float], ...]
"""x and y of each corner, px from the left and the upper border: 0 is the border itself, and the centre of the first
pixel lies at 0.5."""

FEW = "fewer than 3 corners"


class Word(NamedTuple):
    """One word; nothing is checked yet but that its corners are finite numbers."""

    corners: Corners
    """Where the word could not be read (`fault`), those that could be."""
    text: str
    ignored: bool
    """Whether it counts neither as found nor as missed."""
    place: str
    """Where it stands in its file: ``line 3``, ``instance 2``, ``row 7``."""
    fault: str = ""
    """Why it could not be read; else empty."""


def paired(numbers: Iterable[float]) -> Corners:
    """Corners from x and y in turn; a number without its partner is left out."""
    numbers = list(numbers)
    return tuple(zip(numbers[::2], numbers[1::2], strict=False))


def finite(value: object) -> float | None:
    """A number of a JSON file, or None where it is none: text, true, NaN, infinity, more digits than a float has."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
