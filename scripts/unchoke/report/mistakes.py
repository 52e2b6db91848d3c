"""The most confident mistakes, as pictures."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unchoke.report.style import GREY, new_figure, note_figure, plain, styled

MOST = 20
COLUMNS = 5


@dataclass(frozen=True)
class Mistake:
    """An image with a wrong prediction."""

    picture: NDArray[np.uint8] | str
    """uint8 (height, width, 3), or the reason for a missing picture."""
    label: str
    predicted: str
    confidence: float
    """Probability of the predicted class, 0 to 1."""
    path: str
    note: str | None = None
    """In the place of the confidence."""


def worst_mistakes(
    label_N: NDArray[np.integer], probability_NC: NDArray[np.floating], most: int = MOST
) -> NDArray[np.int64]:
    """Rows whose prediction is wrong, the most confident first, the earlier of equals first."""
    wrong_M = np.flatnonzero(probability_NC.argmax(1) != label_N)
    order_M = np.argsort(-probability_NC[wrong_M].max(1), kind="stable")
    return np.asarray(wrong_M[order_M][:most])


@styled
def draw_mistakes(
    mistakes: list[Mistake], wrong: int, images: int, title: str, note: str = "", order: str = "most confident"
) -> Figure:
    """The given mistakes, of `wrong` among `images` in all, a picture each. order: which of them these are."""
    if not mistakes:
        return note_figure(f"{title}: mistakes on test", f"There are none: all {images:,} test images are right.")
    shown = f"the {len(mistakes)} {order} of {wrong:,}" if wrong > len(mistakes) else f"all {wrong:,}"
    heading = f"{title}: mistakes on test, {shown} ({images:,} images)"
    rows = -(-len(mistakes) // COLUMNS)
    figure = new_figure(11, 0.9 + 2.65 * rows, heading, note)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for place, panel in enumerate(axes):
        panel.set_axis_off()
        if place < len(mistakes):
            _draw_mistake(panel, mistakes[place])
    return figure


def _draw_mistake(axes: Axes, mistake: Mistake) -> None:
    if isinstance(mistake.picture, str):
        axes.imshow(np.full((1, 1, 3), 205, np.uint8))
        axes.text(0, 0, f"no picture:\n{plain(mistake.picture, 26)}", ha="center", va="center", size=8.5)
    else:
        axes.imshow(mistake.picture, interpolation="nearest" if max(mistake.picture.shape) <= 64 else "antialiased")
    axes.set_title(caption(mistake), size=10)
    axes.text(
        0.5, -0.03, plain(mistake.path, 30), transform=axes.transAxes, ha="center", va="top", size=7.5, color=GREY
    )


def caption(mistake: Mistake) -> str:
    """True class, predicted class and confidence on two lines."""
    label, predicted = plain(mistake.label, 22), plain(mistake.predicted, 16)
    sure = percent(mistake.confidence) if mistake.note is None else mistake.note
    short = len(label) + len(predicted) < 18
    return f"{label} → {predicted}\n{sure}" if short else f"{label} →\n{', '.join(filter(None, [predicted, sure]))}"


def percent(share: float) -> str:
    """Whole per cent; only certainty is shown as 100 %."""
    return "> 99 %" if share > 0.99 else f"{share:.0%}".replace("%", " %")
