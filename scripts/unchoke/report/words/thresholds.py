"""The H-mean of words on val over the thresholds with which they are read."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unchoke.report.style import COLOURS, GREY, MARKERS, new_figure, note_figure, styled


@styled
def draw_thresholds(scores: dict[str, Any], title: str) -> Figure:
    """A line for each `binarise` over the least scores of words; scores: of ``score_text``."""
    tried, chosen = scores["tried"], scores["reading"]
    heading = f"{title}: H-mean on val over the thresholds"
    if tried is None:
        return note_figure(heading, "There is none: val has no word that counts, so the first thresholds are taken.")
    note = f"Chosen, in a ring: pixels above {chosen['binarise']:g}, words of at least {chosen['box_score']:g}."
    figure = new_figure(9, 4.6, heading, f"{note} Protocol: {scores['protocol']}.")
    axes = figure.subplots()
    for place, (binarise, means) in enumerate(zip(tried["binarise"], tried["h_mean"], strict=True)):
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        values = np.array(means, np.float64)
        axes.plot(tried["box_score"], values, color=colour, marker=marker, label=f"pixels above {binarise:g}")
        if binarise == chosen["binarise"]:
            best = tried["box_score"].index(chosen["box_score"])
            axes.plot(chosen["box_score"], values[best], "o", ms=16, mfc="none", mec=GREY, mew=2)
    axes.set(xlabel="least mean probability of a word", ylabel="H-mean on val")
    figure.legend(loc="outside right upper", fontsize=9)
    return figure
