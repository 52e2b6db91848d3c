"""Figures of a head by class and by group of images: the worst with names and intervals, the distribution of all."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import figure as matplotlib_figure
from matplotlib.axes import Axes

from unchoke.metrics.evaluation import Figure
from unchoke.metrics.intervals import FEW_UNITS
from unchoke.metrics.parts import ClassFigures
from unchoke.report.style import COLOURS, GREY, MARKERS, new_figure, plain, styled

MOST_NAMED = 20
NAMES = ("precision", "recall", "f1")
SPOKEN = {"precision": "precision", "recall": "recall", "f1": "F1"}
_BINS = [place / 20 for place in range(21)]


@styled
def draw_parts(
    classes: Mapping[str, ClassFigures],
    groups: Mapping[str, Figure],
    accuracy: float,
    title: str,
    things: str = "classes",
) -> matplotlib_figure.Figure:
    """Precision, recall and F1 of the classes, and the accuracy within the groups where there are any.

    accuracy: of all images. things: what the classes are called. Where there are more than MOST_NAMED of either, the
    worst are named, and a histogram shows all.
    """
    sides = [len(classes), len(groups)] if groups else [len(classes)]
    many, lines = max(sides) > MOST_NAMED, min(max(*sides, 3), MOST_NAMED)
    note = f"Hollow: from fewer than {FEW_UNITS} independent images or groups, which says little."
    height_in = 2.2 + 0.36 * lines
    known = [one.low for found in classes.values() for one in (found.precision, found.recall, found.f1)]
    known += [one.low for one in groups.values()]
    intervals = ", with 95 % intervals" if np.isfinite(known).any() else ""
    figure = new_figure(7 * len(sides), height_in + 2.2 * many, f"{title}: parts of test{intervals}", note)
    ratios = [height_in, 2.0] if many else [1]
    panels = figure.subplots(len(ratios), len(sides), squeeze=False, height_ratios=ratios)
    _draw_classes(panels[0, 0], classes, things)
    if groups:
        _draw_groups(panels[0, 1], groups, accuracy)
    if many:
        _draw_all(panels[1, 0], [one.f1.value for one in classes.values()], "F1", things)
    if many and groups:
        _draw_all(panels[1, 1], [one.value for one in groups.values()], "accuracy", "groups")
    return figure


def worst_classes(classes: Mapping[str, ClassFigures], most: int = MOST_NAMED) -> list[str]:
    """Names by F1, the lowest first, of equals the one with more images; classes without F1 come last."""
    return sorted(classes, key=lambda name: (_last(classes[name].f1.value), -classes[name].images))[:most]


def worst_groups(groups: Mapping[str, Figure], most: int = MOST_NAMED) -> list[str]:
    """Names by accuracy, the lowest first, of equals the one with more images."""
    return sorted(groups, key=lambda name: (groups[name].value, -groups[name].units))[:most]


def _last(value: float) -> float:
    return value if np.isfinite(value) else 2.0


def _draw_classes(axes: Axes, classes: Mapping[str, ClassFigures], things: str) -> None:
    names = worst_classes(classes)
    for place, name in enumerate(NAMES):
        figures = [getattr(classes[one], name) for one in names]
        _draw_dots(axes, figures, 0.24 * (place - 1), place, SPOKEN[name])
    for line, name in enumerate(names):
        if said := _unknown(classes[name]):
            axes.text(1, line - 0.24, said, size=8.5, color=GREY, ha="right", va="center")  # such figures are at 0
    _finish(axes, [f"{plain(name)} ({classes[name].images:,})" for name in names], "share of images")
    axes.set_title(_heading(things, "F1", len(classes), len(names)), pad=24)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2, fontsize=9)


def _unknown(found: ClassFigures) -> str:
    """Why the F1 of a class is unknown."""
    lacks = [(found.recall, "no image on test"), (found.precision, "never predicted")]
    return ", ".join(text for figure, text in lacks if not np.isfinite(figure.value))


def _draw_groups(axes: Axes, groups: Mapping[str, Figure], accuracy: float) -> None:
    names = worst_groups(groups)
    _draw_dots(axes, [groups[name] for name in names], 0, 0, "")
    axes.axvline(accuracy, linestyle="--", color=GREY, linewidth=1)
    axes.annotate("all images", (accuracy, 1), (0, 3), ("data", "axes fraction"), "offset points", ha="center", size=9)
    _finish(axes, [f"{plain(name)} ({groups[name].units:,})" for name in names], "accuracy")
    axes.set_title(_heading("groups", "accuracy", len(groups), len(names)), pad=24)


def _draw_dots(axes: Axes, figures: Sequence[Figure], below: float, place: int, label: str) -> None:
    """One figure with its interval on each line; hollow if it has few units."""
    axes.plot([], [], MARKERS[place], color=COLOURS[place], label=label, markersize=5)
    for line, figure in enumerate(figures):
        if np.isfinite([figure.low, figure.high]).all():
            axes.plot([figure.low, figure.high], [line + below] * 2, color=COLOURS[place], linewidth=1.2)
        face = COLOURS[place] if figure.units >= FEW_UNITS else "white"
        axes.plot(figure.value, line + below, MARKERS[place], color=COLOURS[place], markerfacecolor=face, markersize=5)


def _finish(axes: Axes, labels: list[str], label: str) -> None:
    for line in range(1, len(labels), 2):
        axes.axhspan(line - 0.5, line + 0.5, color="#f4f4f4", zorder=0)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label, color=GREY)


def _heading(things: str, figure: str, count: int, named: int) -> str:
    which = f"{count} {things}" if named == count else f"the {named} of {count:,} {things} with the lowest {figure}"
    return f"{which} (images)" if named < count else f"{which} (images), the lowest {figure} first"


def _draw_all(axes: Axes, values: Sequence[float], figure: str, things: str) -> None:
    """A histogram of the figure over all classes or groups."""
    known = [value for value in values if np.isfinite(value)]
    axes.hist(known, _BINS, color=COLOURS[5])
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(f"{figure} of all {len(known):,}", color=GREY)
    axes.set_ylabel(things)
