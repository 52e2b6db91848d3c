"""Maps of features in which a reader points at an image, or steps from one to the next by keyboard, and sees it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.models import CDSView, ColumnDataSource, HoverTool, IndexFilter, Scatter
from bokeh.plotting import figure
from numpy.typing import NDArray

from unchoke.page.text import drawable
from unchoke.report.embedding import MOST_IN_COLOUR
from unchoke.report.style import COLOURS, GREY, plain

SOURCE = "points"
"""Name of the data in a plot, by which the page's script finds it."""
_SHAPES = ("circle", "square", "diamond", "triangle", "inverted_triangle", "plus", "hex")
_COLOURS = (*COLOURS[:-1], "#8a8f98")  # black cannot be seen in the dark
_OTHER = "other classes"
_MOST_LETTERS = 22  # of a name beside the map; the tooltip has all of it
# Bokeh shows tooltips where the page's style does not reach.
_TOOLTIP = (
    '<div class="tip" style="display:flex;gap:.7em;max-width:22em;overflow-wrap:anywhere">'
    '<img src="@image" alt="" style="width:72px;height:72px;object-fit:contain;image-rendering:auto">'
    '<div style="display:grid;align-content:start"><b>@label</b><span>@split</span><span>@prediction</span>%s'
    '<span style="opacity:.7">@path</span></div></div>'
)
_RING = "#8a8f98"  # seen in the light and in the dark


@dataclass(frozen=True)
class Points:
    """N images on a map."""

    place_N2: NDArray[np.floating]
    share_2: NDArray[np.floating]
    """Of the variance, 0 to 1, of each axis."""
    image_id: Sequence[int]
    label: Sequence[str]
    split: Sequence[str]
    path: Sequence[str]
    prediction: Sequence[str]
    """In words, empty where there is none."""
    finding: Sequence[str] = ()
    """What rules of cleaning found, in words, empty where they found nothing; () on a map that does not show it."""
    colour: Sequence[str] = ()
    """What gives them their colours; empty: the labels."""
    legend: str = "class"


def draw_map(points: Points) -> dict[str, Any]:
    """A plot as ``Bokeh.embed.embed_item`` takes it; the same points give the same plot.

    Its tooltips show a column ``image``, which the page's script fills by the column ``image_id``, so that maps of
    several encoders share their thumbnails. Where the points have findings, images with one have a ring, and a column
    ``mark`` holds a letter above each dot, which a script may set.
    """
    shown = _shown(points.colour or points.label)
    plot = figure(
        height=520,
        sizing_mode="stretch_width",
        tools="pan,wheel_zoom,box_zoom,tap,reset",
        toolbar_location="above",
        x_axis_label=f"first component, {points.share_2[0]:.1%} of the variance",
        y_axis_label=f"second component, {points.share_2[1]:.1%} of the variance",
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        output_backend="canvas",
    )
    plot.toolbar.logo = None
    plot.toolbar.active_drag = None  # fingers scroll the page until a reader asks for more
    source = ColumnDataSource(_columns(points, shown), name=SOURCE)
    dots = _add_dots(plot, source, points.legend if len(shown) > 1 else "")
    if points.finding:
        _add_marks(plot, source, points.finding)
    plot.add_tools(HoverTool(tooltips=_tooltip(points), renderers=[dots], limit=1, attachment="horizontal"))
    plot.axis.major_label_text_font_size = "0pt"  # the components have no unit
    plot.axis.major_tick_line_color = plot.axis.minor_tick_line_color = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.grid.grid_line_alpha = 0.3
    plot.legend.background_fill_alpha = 0
    plot.legend.border_line_color = None
    plot.legend.label_text_font_size = "10pt"
    plot.add_layout(plot.legend[0], "right")
    return same_ids(json_item(plot))


def _shown(labels: Sequence[str]) -> list[str]:
    """The classes that have a colour of their own: the most frequent."""
    names, count = np.unique(np.asarray(labels, dtype=object), return_counts=True)
    return sorted(names[place] for place in np.argsort(-count, kind="stable")[:MOST_IN_COLOUR])


def _columns(points: Points, shown: list[str]) -> dict[str, Any]:
    place_of = {name: place for place, name in enumerate(shown)}
    places = [place_of.get(label) for label in points.colour or points.label]
    return {
        "x": np.round(points.place_N2[:, 0], 4).tolist(),
        "y": np.round(points.place_N2[:, 1], 4).tolist(),
        "image_id": list(points.image_id),
        "label": list(map(drawable, points.label)),
        "split": list(points.split),
        "path": list(map(drawable, points.path)),
        "prediction": list(map(drawable, points.prediction)),
        "legend": [_OTHER if place is None else drawable(plain(shown[place], _MOST_LETTERS)) for place in places],
        "colour": [GREY if place is None else _COLOURS[place % len(_COLOURS)] for place in places],
        "shape": ["dot" if place is None else _shape(place) for place in places],
        "image": [""] * len(places),
        **({"finding": list(map(drawable, points.finding)), "mark": [""] * len(places)} if points.finding else {}),
    }


def _shape(place: int) -> str:
    """Classes of one colour have different shapes."""
    return _SHAPES[(place // len(_COLOURS) + place) % len(_SHAPES)]


def _add_dots(plot: Any, source: ColumnDataSource, legend: str) -> Any:
    dots = plot.scatter(
        "x",
        "y",
        source=source,
        size=9,
        marker="shape",
        fill_color="colour",
        line_color="colour",
        fill_alpha=0.75,
        line_alpha=0.75,
        legend_group="legend",
    )
    dots.selection_glyph = Scatter(
        size=17, marker="shape", fill_color="colour", line_color=GREY, line_width=3, fill_alpha=1
    )
    dots.nonselection_glyph = dots.glyph
    if legend:
        plot.legend[0].title = legend
    return dots


def _tooltip(points: Points) -> str:
    return _TOOLTIP % ("<span>@finding</span>" if points.finding else "")


def _add_marks(plot: Any, source: ColumnDataSource, finding: Sequence[str]) -> None:
    """Rings around the images that a rule found, and letters above the dots."""
    found = CDSView(filter=IndexFilter(indices=[place for place, text in enumerate(finding) if text]))
    ring = {"fill_color": None, "line_color": _RING, "line_width": 2}
    letters = {"text": "mark", "y_offset": -12, "text_align": "center", "text_font_style": "bold"}
    marks = [plot.text("x", "y", source=source, **letters)]
    if any(finding):
        marks.append(plot.scatter("x", "y", source=source, view=found, size=17, **ring, legend_label="found by a rule"))
    for mark in marks:  # they do not fade where another image is picked
        mark.nonselection_glyph = mark.selection_glyph = mark.glyph


def same_ids(item: Any) -> dict[str, Any]:
    """The item with ids that count from 1, in place of those that depend on what the process has drawn before."""
    ids: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return f'"{match[1]}": "{ids.setdefault(match[2], f"m{len(ids) + 1}")}"'

    found: dict[str, Any] = json.loads(re.sub(r'"(id|root_id)": "([^"\\]+)"', renamed, json.dumps(item)))
    return found
