"""Pure: how well the words of images were found: precision, recall and their harmonic mean H, with 95 % intervals.

Counts of all images are added up before any figure is made, as in the evaluation script of ICDAR 2015, so an image with
many words weighs more. With m matched pairs, d counted detections and w counted words:

    precision = m / d      recall = m / w      H = 2 m / (d + w)

Words without a detection have precision 0 and H 0, as in that script. Without a counted word there is no recall and no
H (NaN), where the script says 1 or 0. `word_matches` tells what counts and what matches.

| stratum | its words |
|---|---|
| ``all`` | all |
| ``small``, ``medium``, ``large`` | below 16 px high, below 32 px, from 32 px |
| ``straight``, ``curved`` | of at most four corners; of more |

The height is the shorter side of the smallest turned rectangle. A matched detection is in the stratum of its word, any
other in that of its own height. The corners of a false alarm depend on the detector, which may write quadrilaterals
alone. So straight and curved words have a recall alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unchoke.metrics.evaluation import Figure
from unchoke.metrics.intervals import UNKNOWN, jackknifed
from unchoke.metrics.shapes import heights_px
from unchoke.metrics.units import group_places
from unchoke.metrics.word_matches import Matches, Overlaps, matches_of

FIGURES = ("precision", "recall", "h_mean")
SPOKEN = {"h_mean": "H-mean of precision and recall"}
SIZES_PX = {"small": (0.0, 16.0), "medium": (16.0, 32.0), "large": (32.0, np.inf)}
"""Least height, and the height that is no longer in it."""
STRATA = ("all", *SIZES_PX, "straight", "curved")
RECALL_ALONE = ("straight", "curved")
STRAIGHT_CORNERS = 4


def counts_of(overlaps: Overlaps, matches: Matches) -> NDArray[np.int64]:
    """Matched pairs, counted detections and counted words of an image, in each of ``STRATA``, (S, 3)."""
    height_W, height_D = heights_px(overlaps.shape_W), heights_px(overlaps.shape_D)
    curved_W = overlaps.corners_W > STRAIGHT_CORNERS
    everything = np.ones(len(height_W), bool), np.ones(len(height_D), bool)
    sized = [(_within(height_W, size), _within(height_D, size)) for size in SIZES_PX.values()]
    shaped = [(one_W, np.zeros(len(height_D), bool)) for one_W in (~curved_W, curved_W)]
    return np.array([_count(matches, *members) for members in (everything, *sized, *shaped)], np.int64)


def sweep(
    overlaps: Overlaps, score_D: NDArray[np.floating], threshold_T: NDArray[np.floating], protocol: str
) -> NDArray[np.int64]:
    """Matched pairs, counted detections and counted words of an image at each least score, (T, 3).

    score_D: of every detection. The shapes are not cut with each other again.
    """
    words = int(overlaps.counted_W.sum())
    counts = np.zeros((len(threshold_T), 3), np.int64)
    for place, threshold in enumerate(threshold_T):
        given_D = score_D >= threshold
        matched = len(matches_of(overlaps, protocol, given_D).word_P)
        counts[place] = matched, int((given_D & overlaps.counted_D).sum()), words
    return counts


def ratios(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Each of ``FIGURES`` (…, 3) of matched pairs, counted detections and counted words (…, 3)."""
    matched, detections, words = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    precision = _ratio(matched, detections)
    precision = np.where((detections == 0) & (words > 0), 0.0, precision)
    h_mean = np.where(words > 0, _ratio(2 * matched, detections + words), np.nan)
    return np.stack([precision, _ratio(matched, words), h_mean], -1)


def summarise(
    counts_ISK: NDArray[np.integer], group_I: NDArray[np.object_] | None = None
) -> dict[str, dict[str, Figure]]:
    """By stratum, each of ``FIGURES`` of I images together; counts_ISK: ``counts_of`` of each image, (I, S, 3).

    Intervals come from leaving out images, or groups where images belong to some; the units of a figure are those with
    a detection, a counted word, or either. `sd` is NaN, since there is one prediction.
    """
    place_I = group_places(group_I, len(counts_ISK)) if len(counts_ISK) else np.zeros(0, np.int64)
    return {
        stratum: {
            name: _figure(_summed(counts_ISK[:, number], place_I), place, stratum in RECALL_ALONE and name != "recall")
            for place, name in enumerate(FIGURES)
        }
        for number, stratum in enumerate(STRATA)
    }


def figure_name(figure: str, stratum: str) -> str:
    """Name of a figure of words: its own for all words, else with the stratum behind a full stop."""
    return figure if stratum == "all" else f"{figure}.{stratum}"


def _within(height_P: NDArray[np.float64], size: tuple[float, float]) -> NDArray[np.bool_]:
    return (height_P >= size[0]) & (height_P < size[1])


def _count(matches: Matches, member_W: NDArray[np.bool_], member_D: NDArray[np.bool_]) -> Sequence[int]:
    matched = int(member_W[matches.word_P].sum())
    return matched, matched + int(member_D[matches.false_alarms].sum()), matched + int(member_W[matches.missed].sum())


def _summed(counts_I3: NDArray[np.integer], place_I: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each unit, (U, 3)."""
    sum_U3 = np.zeros((int(place_I.max(initial=-1)) + 1, 3), np.int64)
    np.add.at(sum_U3, place_I, counts_I3)
    return sum_U3


def _figure(counts_U3: NDArray[np.int64], place: int, unknown: bool) -> Figure:
    value = float("nan") if unknown else float(ratios(counts_U3.sum(0))[place])
    below_U = (counts_U3[:, 1], counts_U3[:, 2], counts_U3[:, 1] + counts_U3[:, 2])[place]
    counts_U3 = counts_U3[below_U > 0]
    left_out_U = ratios(counts_U3.sum(0) - counts_U3)[:, place]
    interval = UNKNOWN if np.isnan(value) else jackknifed(value, left_out_U)
    return Figure(value, *interval, float("nan"), len(counts_U3))


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))
