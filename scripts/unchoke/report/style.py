"""The style of all figures, whatever the user's matplotlibrc, and their bytes."""

import functools
import io
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from unchoke.report.fonts import add_fonts, missing_letters

P = ParamSpec("P")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of Okabe and Ito 2008, safe for colour-blind readers, without the yellow, which is too pale on white."""
MARKERS = "osD^vPX"
GREY = "#767676"
DOTS_PER_INCH = 100
_STYLE = {
    "font.size": 11,
    "text.parse_math": False,  # a dollar in the name of a class is a dollar
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.color": "#e2e2e2",
    "legend.frameon": False,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.08,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with our settings for a while."""
    with matplotlib.style.context(["default", {**_STYLE, "font.family": ["DejaVu Sans"]}]):
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator of a function that draws a figure."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with house_style():
            return draw(*args, **kwargs)

    return drawn


def new_figure(width_in: float, height_in: float, title: str, note: str = "") -> Figure:
    """An empty figure with its title above and a small note below."""
    figure = Figure((width_in, height_in), dpi=DOTS_PER_INCH, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=13)
    if note:
        figure.supxlabel(textwrap.fill(note, int(width_in * 13)), x=0.01, ha="left", size=10, color="#444444")
    return figure


@styled
def note_figure(title: str, text: str) -> Figure:
    """A figure with only a text, in place of an empty figure."""
    figure = new_figure(9, 1.2, title)
    figure.text(0.01, 0.35, text, va="center", size=12)
    return figure


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG without date or software, so that the same figure gives the same bytes.

    Letters that our font lacks are drawn with other installed fonts; see ``fonts.add_fonts``.
    """
    with missing_letters() as letters:
        data = _saved(figure)
    if letters and add_fonts(figure, letters):
        with missing_letters():
            data = _saved(figure)
    return data


def _saved(figure: Figure) -> bytes:
    file = io.BytesIO()
    with house_style():
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def plain(text: str, most: int = 24) -> str:
    """Text that can be drawn in one line of at most `most` characters; invalid UTF-8 becomes �."""
    drawable = "".join(letter if letter.isprintable() else _stand_in(letter) for letter in text)
    if len(drawable) <= most:
        return drawable
    front = most // 2
    return f"{drawable[:front]}…{drawable[len(drawable) - (most - front - 1) :]}"


def _stand_in(letter: str) -> str:
    return "\ufffd" if "\ud800" <= letter <= "\udfff" else " "


def logarithmic(axes: Axes, values: NDArray[np.floating]) -> None:
    """A logarithmic y axis where the finite values are positive and more than a factor of ten apart."""
    known = values[np.isfinite(values)]
    if len(known) and 0 < 10 * known.min() < known.max():
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # the default one writes powers as formulas


def some_ticks(axes: Axes, which: str, names: list[str], most: int = 25) -> None:
    """Label the places 0, 1, … on an axis ("x" or "y"); of more than `most`, only evenly spaced ones."""
    step = -(-len(names) // most)
    places = range(0, len(names), step)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(list(places), [plain(names[place]) for place in places])
    longest = max((len(names[place]) for place in places), default=0)
    if which == "x" and longest * len(places) > 60:
        axes.tick_params("x", rotation=90)
