"""Learning curves of heads that are trained in epochs, over the epochs and over the seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from unchoke.metrics.classification import LOWER_IS_BETTER
from unchoke.metrics.grids import grid_edges
from unchoke.report.settings import setting_names, spoken
from unchoke.report.style import COLOURS, GREY, logarithmic, new_figure, styled

MOST_NAMED = 9
MOST_BANDS = 5
_KEPT = {
    "best": "Of each setting and seed the weights of its best epoch are kept.",
    "last": "The weights of the last epoch are kept.",
}


@styled
def draw_curves(
    curves: dict[str, NDArray[np.floating]],
    history: dict[str, list[Any]],
    settings: dict[str, Any],
    chosen: dict[str, Any],
    title: str,
    seconds: list[float] | None = None,
    warnings: Sequence[str] = (),
) -> Figure:
    """Loss on train and score on val over the epochs, a line a setting: the mean over the seeds.

    curves: train_loss and val_score (E, L, S). The lines with the best scores are named, the others grey.
    seconds: of mask heads, whose curves have val_iou in place of val_score; a third plot shows it over these seconds.
    They run from the start of training to the end of each epoch, or of the last ones where it was interrupted before.
    warnings: what a reader must know of the features, said below.
    """
    clock = seconds is not None
    score_ELS = curves["val_iou" if clock else "val_score"]
    name = "mean IoU" if clock else spoken(settings["choose_by"])
    sign = -1 if not clock and settings["choose_by"] in LOWER_IS_BETTER else 1
    note = " ".join([_note(score_ELS.shape, settings, seconds), *(f"Warning: {text}." for text in warnings)])
    figure = new_figure(14 if clock else 11, 4.8, f"{title}: learning curves", note)
    loss, by_epoch, *others = figure.subplots(1, 3 if clock else 2)
    lines = lines_of(sign * score_ELS, history, settings, chosen)
    draw_lines(loss, curves["train_loss"], lines)
    draw_lines(by_epoch, score_ELS, lines)
    logarithmic(loss, curves["train_loss"].ravel())
    loss.set_title("loss on train")
    by_epoch.set_title(f"{name} on val")
    if seconds is not None:
        _draw_clock(others[0], by_epoch, score_ELS, lines, seconds)
        others[0].set_title(f"{name} on val, by the clock")
    figure.legend(*by_epoch.get_legend_handles_labels(), loc="outside right upper", fontsize=9)
    return figure


def _draw_clock(
    axes: Axes, by_epoch: Axes, score_ELS: NDArray[np.floating], lines: "Lines", seconds: list[float]
) -> None:
    """The scores of the last epochs, which have seconds."""
    draw_lines(axes, score_ELS[-len(seconds) :], lines, np.array(seconds))
    axes.sharey(by_epoch)
    axes.set_xlim(left=0)


def _note(shape: tuple[int, ...], settings: dict[str, Any], seconds: list[float] | None) -> str:
    epochs, trials, seeds = shape
    members = trials * seeds
    notes = [f"Means over {seeds} seeds, with their range." if seeds > 1 else ""]
    if seconds is not None:
        timed = len(seconds)
        notes += [_KEPT[settings["keep"]]]
        notes += [f"The clock is that of all {members} trainings, which run side by side." if members > 1 else ""]
        notes += [f"It starts anew after epoch {epochs - timed}, where training was interrupted." * (timed < epochs)]
    return " ".join(filter(None, notes))


@dataclass(frozen=True)
class Lines:
    """The labels of settings, and the settings with a colour."""

    labels: list[str]
    named: list[int]
    """Places of the settings that get a colour and a name."""
    picked: int
    """Place of the setting that was chosen."""
    mark: str
    """What its label says."""


def lines_of(
    score_ELS: NDArray[np.floating], history: dict[str, list[Any]], settings: dict[str, Any], chosen: dict[str, Any]
) -> Lines:
    """Named are the settings with the best last scores, and the one that was chosen."""
    picked = _is_chosen(history, chosen)
    mark = "chosen, edge of grid" if grid_edges(chosen, history) else "chosen"
    return Lines(_labels(history, settings), _named(score_ELS, picked), picked, mark)


def _labels(history: dict[str, list[Any]], settings: dict[str, Any]) -> list[str]:
    """A label for each setting, from the values that differ."""
    names = setting_names(history, settings)
    varying = [name for name in names if len(set(history[name])) > 1] or names
    columns = zip(*(history[name] for name in varying), strict=True)
    return [", ".join(f"{spoken(n)} {v:g}" for n, v in zip(varying, values, strict=True)) for values in columns]


def _is_chosen(history: dict[str, list[Any]], chosen: dict[str, Any]) -> int:
    """Place of the setting that was chosen."""
    trials = range(len(next(iter(history.values()))))
    return next(place for place in trials if all(history[name][place] == chosen[name] for name in chosen))


def _named(score_ELS: NDArray[np.floating], picked: int) -> list[int]:
    """Places of the settings that get a colour: all, or those with the best last scores and the chosen one."""
    last_L = np.nan_to_num(score_ELS[-1].mean(-1), nan=-np.inf)
    best = [int(place) for place in np.argsort(-last_L, kind="stable") if place != picked]
    return sorted([picked, *best[: MOST_NAMED - 1]])


def draw_lines(
    axes: Axes, values_ELS: NDArray[np.floating], lines: Lines, seconds_E: NDArray[np.floating] | None = None
) -> None:
    """Values over the epochs, or over the seconds at their ends: the mean over the seeds, with their range."""
    mean_EL = finite(values_ELS.mean(-1))
    named, picked = lines.named, lines.picked
    x_E = np.arange(1, len(mean_EL) + 1) if seconds_E is None else seconds_E
    others = [place for place in range(mean_EL.shape[1]) if place not in named]
    axes.plot(x_E, mean_EL[:, others], color="#c8c8c8", linewidth=0.8)
    colours = matplotlib.colormaps["cividis"](np.linspace(0.05, 0.85, len(named)))
    for colour, place in zip(colours, named, strict=True):
        strong = {"color": COLOURS[1], "linewidth": 3, "zorder": 3} if place == picked else {"color": colour}
        label = lines.labels[place] + (f" ({lines.mark})" if place == picked else "")
        axes.plot(x_E, mean_EL[:, place], label=label, marker="." if len(x_E) < 5 else "", **strong)
        low_E, high_E = finite(values_ELS[:, place].min(-1)), finite(values_ELS[:, place].max(-1))
        if place == picked or len(named) <= MOST_BANDS:
            axes.fill_between(x_E, low_E, high_E, color=strong["color"], alpha=0.15, linewidth=0)
    if others:
        axes.plot([], [], color="#c8c8c8", label=f"{len(others)} others")
    axes.set_xlabel("epoch" if seconds_E is None else "seconds", color=GREY)
    if seconds_E is None:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def finite(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """The values, NaN in place of infinity, where a line shall have a gap."""
    return np.where(np.isfinite(values), values, np.nan).astype(np.float64)
