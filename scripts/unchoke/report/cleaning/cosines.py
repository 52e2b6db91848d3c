"""Cosines of pairs of the same image and of different ones, with the threshold of ``near_in_features``."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unchoke.report.style import COLOURS, new_figure, note_figure, styled


@styled
def draw_cosines(near: dict[str, Any]) -> Figure:
    """Two histograms over one axis. near: the summary's part ``near_in_features``."""
    proposal = near.get("proposal")
    if not proposal:
        note = "Nothing was drawn: the encoder has one view, and near copies by pixels are few."
        return note_figure("Cosines of the same and of different images", note)
    note = (
        f"The same image: {proposal['basis']}. Different images: each with the nearest one of another group.\n"
        f"At the proposed {proposal['threshold']:.4f}: {100 * proposal['same_found']:.1f} % of the first and "
        f"{100 * proposal['others_found']:.1f} % of the second are found. Copies that nobody knew are among the second."
    )
    figure = new_figure(11, 4.4, "How near the features of one image are, and those of different images", note)
    axes = figure.subplots()
    edges = np.array(proposal["edges"])
    for name, key, colour in (("the same image", "same", COLOURS[0]), ("different images", "others", COLOURS[1])):
        axes.stairs(100 * np.array(proposal[key]), edges, fill=True, color=colour, alpha=0.55, label=name)
    axes.axvline(near["threshold"], color="black", linestyle="--", label=f"threshold {near['threshold']:.4f}")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("cosine of the features")
    axes.set_ylabel("share of the pairs, %")
    axes.legend(loc="upper left")
    return figure
