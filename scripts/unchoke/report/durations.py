"""Where the time went: the stages of extraction, and the training of the heads."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.report.style import COLOURS, GREY, new_figure, note_figure, plain, styled

MOST_BARS = 40


@styled
def draw_durations(rates: pd.DataFrame, heads: list[dict[str, Any]], unit: str = "images") -> Figure:
    """Seconds and rate of every stage of extraction, the bottleneck in orange, and seconds of every head.

    rates: encoder, stage, seconds, images_per_s, bottleneck. heads: rows of a leaderboard. Of very many stores or heads
    the slowest are shown. unit: what rates count, "images" or "patches".
    """
    stages, heads = _slowest_stores(rates), _slowest_heads(heads)
    counts = [count for count in (len(stages), len(heads)) if count]
    if not counts:
        return note_figure("Where the time went", "There is neither an encoder nor a head.")
    heights = [0.3 * count + 0.5 for count in counts]
    figure = new_figure(10, 1 + sum(heights) + 0.5 * len(heights), "Where the time went")
    panels = iter(figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])
    if len(stages):
        axes = next(panels)
        _draw_stages(axes, stages, unit)
        axes.set_title(f"features: seconds for all {unit}, by stage; the bottleneck in orange")
    if heads:
        axes = next(panels)
        _draw_heads(axes, heads)
        axes.set_title("heads: seconds, evaluation included" if unit == "images" else "heads: seconds of training")
    return figure


def _slowest_stores(rates: pd.DataFrame) -> pd.DataFrame:
    """The stages of the stores that took longest, in the order of the table."""
    seconds = rates.groupby("encoder")["seconds"].sum().sort_values(ascending=False, kind="stable")
    return rates[rates["encoder"].isin(seconds.index[: MOST_BARS // 4])]


def _slowest_heads(heads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(heads, key=lambda row: (-row["seconds"], row["encoder"], row["head"]))[:MOST_BARS]


def _draw_stages(axes: Axes, stages: pd.DataFrame, unit: str) -> None:
    names = [f"{row.encoder} · {row.stage}" for row in stages.itertuples()]
    labels = [f"{row.seconds:.3g} s, {row.images_per_s:,.0f} {unit}/s" for row in stages.itertuples()]
    colours = [COLOURS[1] if row.bottleneck else COLOURS[0] for row in stages.itertuples()]
    _draw_bars(axes, names, stages["seconds"].tolist(), labels, colours, room=0.3)


def _draw_heads(axes: Axes, heads: list[dict[str, Any]]) -> None:
    names, seconds = [f"{row['encoder']} · {row['head']}" for row in heads], [row["seconds"] for row in heads]
    _draw_bars(axes, names, seconds, [f"{s:.3g} s" for s in seconds], [GREY] * len(heads), room=0.1)


def _draw_bars(
    axes: Axes, names: list[str], seconds: list[float], labels: list[str], colours: list[str], room: float
) -> None:
    axes.barh(range(len(names)), seconds, color=colours, height=0.65)
    for place, (value, label) in enumerate(zip(seconds, labels, strict=True)):
        axes.annotate(label, (value, place), (5, 0), textcoords="offset points", va="center", size=9.5)
    axes.set_yticks(range(len(names)), [plain(name, 32) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, max(seconds) * (1.05 + room))
    axes.set_xlabel("seconds")
