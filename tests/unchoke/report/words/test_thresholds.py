"""H-mean on val over the thresholds: a line for each least probability, the chosen pair in a ring."""

import numpy as np

from report.test_figures import texts
from unchoke.report.words.thresholds import draw_thresholds

SCORES = {
    "protocol": "icdar2015",
    "reading": {"binarise": 0.5, "box_score": 0.7},
    "tried": {"binarise": [0.3, 0.5], "box_score": [0.5, 0.7], "h_mean": [[0.4, None], [0.5, 0.8]]},
}


def test_each_line_has_its_means_and_the_chosen_pair_a_ring() -> None:
    figure = draw_thresholds(SCORES, "lite0 · db")
    lines = figure.axes[0].get_lines()
    np.testing.assert_array_equal(lines[0].get_ydata(), [0.4, np.nan])
    ring = next(line for line in lines if line.get_markerfacecolor() == "none")
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (0.7, 0.8)
    assert "words of at least 0.7" in texts(figure).replace("\n", " ") and "pixels above 0.3" in texts(figure)


def test_without_words_on_val_it_says_so() -> None:
    assert "val has no word that counts" in texts(draw_thresholds({**SCORES, "tried": None}, "t"))
