"""Thresholds of the best H-mean, equals to the lower; and from words over their maps back to the same words."""

import numpy as np
import pytest
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.metrics.h_mean import counts_of
from unchoke.metrics.word_matches import PROTOCOLS, Words, matches_of, overlaps_of
from unchoke.polygons.maps import KERNEL, Window, draw_maps, target_of
from unchoke.text.boxes import Box, Reading, boxes_of
from unchoke.text.thresholds import choose_thresholds


def box(x: float) -> NDArray[np.float64]:
    return np.array([[x, 0], [x + 9, 0], [x + 9, 5], [x, 5]], np.float64)


TRUTH = [Words([box(0), box(20)], np.zeros(2, bool)), Words([box(0), box(20)], np.array([False, True]))]
RIGHT, WRONG = Box(box(0), 0.8), Box(box(60), 0.6)
SECOND = Box(box(20), 0.5)  # a word of the first image; ignored in the second one


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_best_h_mean_chooses_and_equals_go_to_the_lower(protocol: str) -> None:
    boxes = {
        0.5: [[RIGHT, SECOND, WRONG], [RIGHT, SECOND]],  # H: 6/7 at 0.3 and 0.5, 4/6 at 0.6, 4/5 at 0.7, 0 at 0.9
        0.2: [[RIGHT, WRONG], [RIGHT]],  # H: 4/6 up to 0.6, 4/5 at 0.7
        0.7: [[RIGHT, SECOND, WRONG], [RIGHT]],
    }
    chosen = choose_thresholds(TRUTH, boxes, [0.9, 0.7, 0.6, 0.5, 0.3], protocol)
    assert (chosen.binarise, chosen.box_score) == (0.5, 0.3)
    assert (chosen.binarise_B.tolist(), chosen.box_score_T.tolist()) == ([0.2, 0.5, 0.7], [0.3, 0.5, 0.6, 0.7, 0.9])
    expected = [[4 / 6] * 3 + [4 / 5, 0], [6 / 7] * 2 + [4 / 6, 4 / 5, 0], [6 / 7] * 2 + [4 / 6, 4 / 5, 0]]
    np.testing.assert_allclose(chosen.h_means(), expected)


def test_without_a_word_that_counts_nothing_can_be_chosen() -> None:
    nothing = [Words([box(0)], np.ones(1, bool)), Words([], np.zeros(0, bool))]
    with pytest.raises(UnchokeError, match=r"no word that counts in 2 images"):
        choose_thresholds(nothing, {0.3: [[RIGHT], []]}, [0.5], "icdar2015")


def test_other_numbers_of_images_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        choose_thresholds(TRUTH, {0.3: [[RIGHT]]}, [0.5], "icdar2015")


@pytest.mark.parametrize("polygons", [False, True])
@pytest.mark.parametrize("angle", [0, 8, 35])
def test_words_are_found_again_in_the_maps_that_a_detector_learns(angle: int, polygons: bool) -> None:
    turn = np.exp(1j * np.deg2rad(angle))
    outlines = [
        (np.array([0, 100, 100 + 30j, 30j]) * turn + x + 1j * y).view(np.float64).reshape(4, 2)
        for x, y in ((60, 30), (60, 120), (220, 60), (220, 150))
    ]
    targets = [target_of(tuple(map(tuple, outline.tolist())), ignored=False) for outline in outlines]
    maps = draw_maps(targets, Window(0, 0, 300, 400), 300, 400)
    found = boxes_of((maps.kernels_HW == KERNEL).astype(np.float32), Reading(polygons=polygons))
    overlaps = overlaps_of(Words(outlines, np.zeros(4, bool)), [box.polygon for box in found.boxes])
    assert counts_of(overlaps, matches_of(overlaps, "icdar2015"))[0].tolist() == [4, 4, 4]
