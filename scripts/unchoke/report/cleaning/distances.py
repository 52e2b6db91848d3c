"""Distances of the images of each split to train."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unchoke.inspection.said import shift_sentences
from unchoke.names import SPLITS, UNLABELLED
from unchoke.report.style import COLOURS, new_figure, styled


@styled
def draw_distances(shift: dict[str, Any]) -> Figure:
    """A line a split over one axis, and what the test says. shift: the summary's part of this name."""
    note = "\n".join(shift_sentences(shift))
    figure = new_figure(11, 4.6, "How far images lie from those of train", note)
    axes = figure.subplots()
    colours = (COLOURS[0], COLOURS[2], COLOURS[1], COLOURS[3])
    for split, colour in zip((*SPLITS, UNLABELLED), colours, strict=True):
        if split in shift["shares"]:
            share = 100 * np.array(shift["shares"][split])
            axes.stairs(share, shift["edges"], color=colour, linewidth=2, label=split)
    axes.set_xlim(shift["edges"][0], shift["edges"][-1])
    axes.set_xlabel("one less the cosine of the k-th nearest image of train, of another group")
    axes.set_ylabel("share of the images, %")
    axes.legend(loc="upper right")
    return figure
