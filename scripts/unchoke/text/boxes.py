"""Pure: words from a map of probabilities, as in DB (Liao et al. 2020, "Real-time Scene Text Detection with
Differentiable Binarization"): regions above a threshold, each scored by its mean probability and grown again.

A map shows words that were shrunk, so that neighbours stay apart; a region is grown by area × unclip / perimeter. The
score is the mean inside the outline, holes included. A map may come in bands of rows: a word that crosses from band to
band is one word, and the answer is that of the whole map, bit by bit.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from unchoke.metrics.shapes import Polygon, heights_px
from unchoke.text.components import MOST_PX, Bands, Component, components
from unchoke.text.contours import grown_polygon, grown_quadrilateral, outline

BEYOND = "beyond max_boxes"
_WIDENING = 2**0.5
"""The shorter side of a region's smallest rectangle is at most this times the shorter side of its bounding box."""


class Reading(NamedTuple):
    """How words are read from a map; lengths in px of the map."""

    binarise: float = 0.3
    """A pixel is text if its probability is above."""
    box_score: float = 0.6
    """Least mean probability of a word."""
    unclip: float = 1.5
    """Ratio by which a word grows."""
    min_side: float = 3.0
    """Least shorter side of a word before it grows."""
    max_boxes: int = 1000
    """Most words of an image; those with the highest scores are kept."""
    polygons: bool = False
    """Whether words are outlines with any number of corners; turned rectangles otherwise."""


class Box(NamedTuple):
    """A word."""

    polygon: Polygon
    """Corners (K, 2), x and y, px, clockwise from the top left, clipped to the map."""
    score: float
    """Mean probability, 0 to 1."""


_Word = tuple[tuple[int, int, int, int], Box]
"""First row and column of a region, the row and column behind its last, px of the map; and its word."""


class Found(NamedTuple):
    """The words of an image."""

    boxes: list[Box]
    """From top to bottom, then from left to right."""
    left_out: dict[str, int]
    """How many regions are no words, by reason: ``too large``, ``too thin``, ``low score``, ``BEYOND``."""


def boxes_of(probability_HW: NDArray[np.floating], reading: Reading) -> Found:
    """The words of a map, 0 to 1; NaN is no text."""
    return boxes_of_bands([(0, probability_HW)], reading)


def boxes_of_bands(bands: Bands, reading: Reading, most_px: int = MOST_PX) -> Found:
    """The words of a map that comes in bands of rows, from top to bottom; twice ``max_boxes`` are held at most.

    most_px: of the bounding box of a word. Raises ValueError where a band does not follow the one before it.
    """
    size = _Size()
    words: list[_Word] = []
    left_out: Counter[str] = Counter()
    for component in components(size.measured(bands), reading.binarise, most_px):
        box = _read(component, reading)
        if isinstance(box, str):
            left_out[box] += 1
        else:
            words.append(((component.y0, component.x0, component.y1, component.x1), box))
            if len(words) > 2 * reading.max_boxes:
                words = _best(words, reading.max_boxes, left_out)
    kept = _best(words, reading.max_boxes, left_out)
    return Found(
        [Box(np.clip(box.polygon, 0, (size.width, size.height)), box.score) for _, box in kept], dict(left_out)
    )


class _Size:
    """Of a map, known once its bands have passed."""

    def __init__(self) -> None:
        self.height = self.width = 0

    def measured(self, bands: Bands) -> Bands:
        for y0, band_HW in bands:
            self.height, self.width = y0 + len(band_HW), band_HW.shape[1]
            yield y0, band_HW


def _read(component: Component, reading: Reading) -> Box | str:
    """The word of a region, px of the map, or why it is none."""
    if not component.pieces:
        return "too large"
    if _WIDENING * min(component.y1 - component.y0, component.x1 - component.x0) < reading.min_side:
        return "too thin"
    mask_HW, probability_HW = component.pixels()
    filled_HW = binary_fill_holes(mask_HW)
    score = float(np.nanmean(probability_HW[filled_HW], dtype=np.float64))
    if score < reading.box_score:
        return "low score"
    shape = shapely.polygons(outline(filled_HW) + np.array([component.x0, component.y0]))
    if heights_px(np.array([shape]))[0] < reading.min_side:
        return "too thin"
    grown = (grown_polygon if reading.polygons else grown_quadrilateral)(shape, reading.unclip)
    return Box(grown, score)


def _best(words: list[_Word], most: int, left_out: Counter[str]) -> list[_Word]:
    """The words with the highest scores, of equals the first, in the order of ``Found``; the others are counted."""
    best = sorted(words, key=lambda word: (-word[1].score, word[0]))[:most]
    if len(best) < len(words):
        left_out[BEYOND] += len(words) - len(best)
    return sorted(best, key=lambda word: word[0])
