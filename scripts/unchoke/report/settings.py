"""The settings that a head tried, and how each did on val."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.metrics.classification import SPOKEN
from unchoke.metrics.grids import grid_edges
from unchoke.report.style import COLOURS, GREY, MARKERS, logarithmic, new_figure, some_ticks, styled

NAMES = {
    **SPOKEN,
    "gradient": "largest entry of the gradient",
    "iterations": "iterations",
    "loss": "loss on train",
    "c": "C",
    "k": "k",
}
_LOGARITHMIC = {"gradient", "loss"}


@styled
def draw_settings(
    history: dict[str, list[Any]], settings: dict[str, Any], chosen: dict[str, Any], title: str
) -> Figure:
    """One panel for the score on val and one for every other figure in the history, over the settings that were tried.

    history: a value for each trial; None: not finite. settings: of the head; those that are lists were tried.
    """
    tried = pd.DataFrame(history, dtype=object)
    over, others = _axes_of(tried, settings)
    panels = [name for name in history if name not in {over, *others, "draw", "reached", "val_score"}]
    panels = ["val_score", *panels]
    height_in = 1.2 + 2.9 * ((len(panels) + 1) // 2)
    figure = new_figure(5.5 * min(len(panels), 2) + 1, height_in, f"{title}: settings tried", _note(tried))
    for place, name in enumerate(panels):
        axes = figure.add_subplot((len(panels) + 1) // 2, min(len(panels), 2), place + 1)
        _draw_panel(axes, tried, name, over, others, chosen)
        axes.set_title(f"{spoken(settings['choose_by'])} on val" if name == "val_score" else spoken(name))
    return figure


def spoken(name: str) -> str:
    """A name of the history or the settings in words."""
    return NAMES.get(name, name.replace("_", " "))


def setting_names(history: Iterable[str], settings: dict[str, Any]) -> list[str]:
    """The names in the history that are settings; a list of settings may carry the plural."""
    return [name for name in history if name != "draw" and (name in settings or f"{name}s" in settings)]


def _axes_of(tried: pd.DataFrame, settings: dict[str, Any]) -> tuple[str, list[str]]:
    """The setting with most values, which goes along the axis, and the others that vary, which become lines."""
    counts = {name: tried[name].nunique() for name in setting_names(map(str, tried.columns), settings)}
    over = max(counts, key=lambda name: counts[name])
    return over, [name for name in counts if name != over]


def _note(tried: pd.DataFrame) -> str:
    lost = int(tried["val_score"].isna().sum())
    draws = tried["draw"].nunique() if "draw" in tried else 1
    notes = [f"Means over {draws} draws, with their range." if draws > 1 else ""]
    notes += [f"{lost} of {len(tried)} trials have no finite score and are left out." if lost else ""]
    return " ".join(filter(None, notes))


def _draw_panel(
    axes: Axes, tried: pd.DataFrame, name: str, over: str, others: list[str], chosen: dict[str, Any]
) -> None:
    values = sorted(tried[over].unique())
    groups = list(tried.groupby(others, sort=True)) if others else [((), tried)]
    for place, (group, part) in enumerate(groups):
        label = ", ".join(f"{spoken(other)} {value:g}" for other, value in zip(others, group, strict=True))
        numbers = part.assign(**{name: pd.to_numeric(part[name])}).groupby(over)[name]
        mean, low, high = (getattr(numbers, figure)().reindex(values).to_numpy() for figure in ("mean", "min", "max"))
        colour = COLOURS[place % len(COLOURS)]
        line = "none" if isinstance(values[0], str) else "-"  # text values have no order
        axes.plot(mean, linestyle=line, marker=MARKERS[place % len(MARKERS)], color=colour, label=label, markersize=5)
        axes.fill_between(range(len(values)), low, high, color=colour, alpha=0.15, linewidth=0)
    _finish(axes, tried, name, over, values, chosen)
    if 1 < len(groups) <= 8:
        axes.legend(fontsize=9)


def _finish(axes: Axes, tried: pd.DataFrame, name: str, over: str, values: list[Any], chosen: dict[str, Any]) -> None:
    """Labels of the axis, and a line at the chosen value."""
    some_ticks(axes, "x", [value if isinstance(value, str) else f"{value:g}" for value in values], most=14)
    axes.set_xlabel(spoken(over))
    axes.set_xlim(-0.5, len(values) - 0.5)
    if name in _LOGARITHMIC:
        logarithmic(axes, pd.to_numeric(tried[name]).to_numpy(float))
    if chosen.get(over) in values:
        place = values.index(chosen[over])
        axes.axvline(place, color=GREY, linestyle="--", linewidth=1)
        where: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        edge = over in grid_edges(chosen, {over: values})
        label = "chosen, at the edge of the grid" if edge else "chosen"
        side = "right" if place > len(values) / 2 else "left"
        shift = (-3, 3) if side == "right" else (3, 3)
        axes.annotate(label, (place, 0), shift, size=9, color=GREY, ha=side, **where)
