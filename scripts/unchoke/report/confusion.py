"""The confusion matrix: with numbers where there is room for them, else as a heat map with its worst cells named."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unchoke.report.style import new_figure, plain, some_ticks, styled

MOST_WITH_NUMBERS = 20
MOST_CELLS = 250  # along a side; a picture has no dots for more
NAMED_PAIRS = 12


@styled
def draw_confusion(
    count_CC: NDArray[np.int64], classes: list[str], title: str, note: str = "", *, shares: bool = False
) -> Figure:
    """Counts by true class (rows) and predicted class (columns); colours say the share of the row.

    shares: whether numbers in the cells are shares as well, for counts as large as those of pixels.
    """
    side_in = float(np.clip(0.55 * len(classes), 4.5, 8))
    numbers = len(classes) <= MOST_WITH_NUMBERS
    block = -(-len(classes) // MOST_CELLS)
    if block > 1:
        note = f"A cell stands for {block} × {block} classes and shows the strongest of theirs. {note}"
    figure = new_figure(side_in + (1.8 if numbers else 5), side_in + 1.2, f"{title}: confusion on test", note)
    axes, *rest = figure.subplots(1, 1 if numbers else 2, squeeze=False, width_ratios=[1] if numbers else [2, 1])[0]
    share_CC = count_CC / np.maximum(count_CC.sum(1, keepdims=True), 1)
    norm = PowerNorm(1 if numbers else 0.5, 0, 1)
    image = axes.imshow(strongest(share_CC, block), cmap="Blues", norm=norm, aspect="equal", extent=_extent(classes))
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.6)
    if numbers:
        _write_numbers(axes, count_CC, share_CC, shares)
    else:
        _name_pairs(rest[0], count_CC, classes)
    _name_axes(axes, classes)
    return figure


def _extent(classes: list[str]) -> tuple[float, float, float, float]:
    """Bounds of the picture, so that class k stands at k however many classes a cell holds."""
    side = len(classes) - 0.5
    return (-0.5, side, side, -0.5)


def strongest(values_CC: NDArray[np.floating], block: int) -> NDArray[np.float64]:
    """The largest value of every block × block cells; a last block may be smaller."""
    starts = np.arange(0, len(values_CC), block)
    return np.asarray(np.maximum.reduceat(np.maximum.reduceat(values_CC, starts, 0), starts, 1), np.float64)


def _name_axes(axes: Axes, classes: list[str]) -> None:
    some_ticks(axes, "x", classes)
    some_ticks(axes, "y", classes)
    axes.grid(visible=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def _write_numbers(axes: Axes, count_CC: NDArray[np.int64], share_CC: NDArray[np.floating], shares: bool) -> None:
    size = (11 if len(count_CC) <= 12 else 8) - 2.5 * (shares and len(count_CC) > 8)
    for row, column in zip(*np.nonzero(count_CC), strict=True):
        colour = "white" if share_CC[row, column] > 0.5 else "black"
        count, share = int(count_CC[row, column]), float(share_CC[row, column])
        written = share_text(count, share) if shares else str(count)
        axes.text(column, row, written, ha="center", va="center", color=colour, size=size)


def share_text(count: int, share: float) -> str:
    """A share of its row, and the count itself below it: ``12.3 %``, ``1.23 M``; neither 0 nor all where it is not."""
    percent = "> 99.9" if 0.999 < share < 1 else "< 0.1" if 0 < share < 0.001 else f"{100 * share:.1f}"
    power = (len(str(count)) - 1) // 3
    scaled = count / 1000**power
    short = f"{scaled:.{2 - (scaled >= 10) - (scaled >= 100)}f} {'kMGTP'[power - 1]}" if power else str(count)
    return f"{percent} %\n{short}"


def frequent_pairs(count_CC: NDArray[np.int64], most: int) -> list[tuple[int, int, int]]:
    """(true class, predicted class, count) of the most frequent confusions, the most frequent first."""
    wrong_CC = count_CC * ~np.eye(len(count_CC), dtype=bool)
    cells = np.argsort(-wrong_CC, axis=None, kind="stable")[:most]
    pairs = [(int(cell // len(wrong_CC)), int(cell % len(wrong_CC))) for cell in cells]
    return [(true, predicted, int(wrong_CC[true, predicted])) for true, predicted in pairs if wrong_CC[true, predicted]]


def _name_pairs(axes: Axes, count_CC: NDArray[np.int64], classes: list[str]) -> None:
    axes.set_axis_off()
    pairs = frequent_pairs(count_CC, NAMED_PAIRS)
    lines = [f"{count} ×  {plain(classes[t], 20)} → {plain(classes[p], 20)}" for t, p, count in pairs]
    axes.text(0, 1, "\n".join(["Most frequent confusions", "", *(lines or ["none"])]), va="top", size=9.5)
