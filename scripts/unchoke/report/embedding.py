"""A map of the features: their two directions of most variance."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from scipy.linalg import eigh

from unchoke.cells import NONE_APPLIES, number_in
from unchoke.names import MULTILABEL, REGRESSION
from unchoke.report.labels import part_labels
from unchoke.report.style import COLOURS, MARKERS, new_figure, plain, styled

MOST_IN_COLOUR = 21
MOST_NAMED = 10  # on the map; more would hide each other


def project(x_ND: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (N, 2) along the two principal components, and the share of the variance of each, 0 to 1.

    The sign of a component, which is free, is such that its largest entry is positive.
    """
    centre_D = x_ND.mean(0, dtype=np.float64) if len(x_ND) else np.zeros(x_ND.shape[1])
    centred_ND = x_ND.astype(np.float64) - centre_D
    gram_DD = centred_ND.T @ centred_ND
    width, found = len(gram_DD), min(2, len(gram_DD))
    values_F, vectors_DF = eigh(gram_DD, subset_by_index=[width - found, width - 1])
    share_2, vectors_D2 = np.zeros(2), np.zeros((width, 2))
    share_2[:found] = values_F[::-1].clip(0) / max(np.trace(gram_DD), np.finfo(float).tiny)
    vectors_D2[:, :found] = vectors_DF[:, ::-1]
    largest_2 = vectors_D2[np.abs(vectors_D2).argmax(0), np.arange(2)]
    return centred_ND @ (vectors_D2 * np.where(largest_2 < 0, -1, 1)), share_2


def coloured_by(labels: Sequence[str], task: str) -> list[str]:
    """What gives the dots their colours: classes, sets of labels, or the fifth of all numbers that one is in."""
    if task != REGRESSION:
        return ["none" if task == MULTILABEL and label == NONE_APPLIES else label for label in labels]
    number_N = np.array([number_in(label) for label in labels])
    ends = np.quantile(number_N, np.linspace(0, 1, 6)) if len(number_N) else np.zeros(6)
    fifth_N = np.searchsorted(ends[1:-1], number_N, side="right")
    return [f"{fifth + 1}: {ends[fifth]:.3g} to {ends[fifth + 1]:.3g}" for fifth in fifth_N.tolist()]


@styled
def draw_embedding(
    place_N2: NDArray[np.floating],
    share_2: NDArray[np.floating],
    label_N: NDArray[np.object_],
    title: str,
    warnings: Sequence[str] = (),
) -> Figure:
    """A dot an image, a colour and shape a class, its name at the median while they are few; grey beyond that.

    warnings: what a reader must know of the store, said below.
    """
    names, count = np.unique(label_N.astype(object), return_counts=True)
    common = [names[place] for place in np.argsort(-count, kind="stable")[:MOST_IN_COLOUR]]
    shown = sorted(common)
    note = f"{len(label_N):,} images of val and test."
    if len(shown) < len(names):
        note += f" In colour: the {len(shown)} most frequent of {len(names)} classes; the others are grey."
    note += "".join(f" Warning: {text}." for text in warnings)
    figure = new_figure(9.5, 7.5, f"{title}: map of the features", note)
    axes = figure.subplots()
    rest_N = ~np.isin(label_N, shown)
    axes.plot(*place_N2[rest_N].T, ".", color="#c8c8c8", markersize=4)
    labels = [
        _draw_class(axes, place_N2[label_N == name], name, place, named=len(shown) <= MOST_NAMED)
        for place, name in enumerate(shown)
    ]
    axes.set_xlabel(f"first component, {share_2[0]:.1%} of the variance")
    axes.set_ylabel(f"second component, {share_2[1]:.1%} of the variance")
    axes.tick_params(labelbottom=False, labelleft=False)  # the components have no unit
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    part_labels(axes, [label for label in labels if label])
    return figure


def _draw_class(axes: Axes, place_M2: NDArray[np.floating], name: str, place: int, named: bool) -> Text | None:
    """The dots of a class, and its name, which is returned."""
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[(place // len(COLOURS) + place) % len(MARKERS)]
    axes.plot(*place_M2.T, marker, color=colour, markersize=4.5, alpha=0.7, markeredgewidth=0, label=plain(name))
    if not named:
        return None
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour, "alpha": 0.85}
    x, y = np.median(place_M2, 0)
    return axes.text(x, y, plain(name, 14), color=colour, weight="bold", ha="center", va="center", bbox=box)
