"""Pure: the thresholds with which words are read from maps, chosen by H-mean on val."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.metrics.h_mean import FIGURES, ratios, sweep
from unchoke.metrics.word_matches import Words, overlaps_of
from unchoke.text.boxes import Box


class Chosen(NamedTuple):
    """The best thresholds, and what the others are worth."""

    binarise: float
    box_score: float
    binarise_B: NDArray[np.float64]
    """All that were tried, from the lowest to the highest."""
    box_score_T: NDArray[np.float64]
    counts_BT3: NDArray[np.int64]
    """Matched pairs, counted detections and counted words of all images."""

    def h_means(self) -> NDArray[np.float64]:
        """H-mean with each pair of thresholds, (B, T)."""
        return ratios(self.counts_BT3)[..., FIGURES.index("h_mean")]


def choose_thresholds(
    words_I: Sequence[Words],
    boxes: Mapping[float, Sequence[Sequence[Box]]],
    box_scores: Sequence[float],
    protocol: str,
) -> Chosen:
    """The thresholds of the highest H-mean over all images; of equals the lowest `binarise`, then the lowest score.

    boxes: by `binarise` the words that were read from each of the I images, with a least score of at most the lowest of
    `box_scores`, since a word that was left out cannot return. Raises UnchokeError without a word that counts.
    """
    binarise_B, box_score_T = np.array(sorted(boxes), np.float64), np.array(sorted(box_scores), np.float64)
    counts_BT3 = np.stack([_counts(words_I, boxes[value], box_score_T, protocol) for value in sorted(boxes)])
    _refuse_no_words(len(words_I), int(counts_BT3[0, 0, 2]))
    chosen = Chosen(float("nan"), float("nan"), binarise_B, box_score_T, counts_BT3)
    best_b, best_t = np.unravel_index(chosen.h_means().argmax(), counts_BT3.shape[:2])  # the first of equals
    return chosen._replace(binarise=float(binarise_B[best_b]), box_score=float(box_score_T[best_t]))


def _counts(
    words_I: Sequence[Words], boxes_I: Sequence[Sequence[Box]], box_score_T: NDArray[np.float64], protocol: str
) -> NDArray[np.int64]:
    """Of all images at each least score, (T, 3)."""
    counts_T3 = np.zeros((len(box_score_T), 3), np.int64)
    for words, boxes in zip(words_I, boxes_I, strict=True):
        overlaps = overlaps_of(words, [box.polygon for box in boxes])
        counts_T3 += sweep(overlaps, np.array([box.score for box in boxes], np.float64), box_score_T, protocol)
    return counts_T3


def _refuse_no_words(images: int, words: int) -> None:
    if not words:
        raise UnchokeError(
            "Thresholds cannot be chosen: H-mean is undefined without words.",
            found=f"no word that counts in {images} images of val",
            expected="at least one word that is not ignored",
            where="val",
            do="give val more images, or fewer ignored words",
        )
