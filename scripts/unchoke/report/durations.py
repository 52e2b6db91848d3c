"""Where the time went: the stages of extraction, and the training of the heads."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.report.style import COLOURS, GREY, new_figure, plain, styled

MOST_BARS = 40


@styled
def draw_durations(rates: pd.DataFrame, heads: list[dict[str, Any]]) -> Figure:
    """Seconds and rate of every stage of extraction, the bottleneck in orange, and seconds of every head.

    rates: encoder, stage, seconds, images_per_s, bottleneck. heads: rows of the leaderboard. Of very many stores or
    heads the slowest are shown.
    """
    stages, heads = _slowest_stores(rates), _slowest_heads(heads)
    heights = [0.3 * len(stages) + 0.5, *([0.3 * len(heads) + 0.5] if heads else [])]
    figure = new_figure(10, 1 + sum(heights) + 0.5 * len(heights), "Where the time went")
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _draw_stages(panels[0], stages)
    panels[0].set_title("features: seconds for all images, by stage; the bottleneck in orange")
    if heads:
        _draw_heads(panels[1], heads)
        panels[1].set_title("heads: seconds, evaluation included")
    return figure


def _slowest_stores(rates: pd.DataFrame) -> pd.DataFrame:
    """The stages of the stores that took longest, in the order of the table."""
    seconds = rates.groupby("encoder")["seconds"].sum().sort_values(ascending=False, kind="stable")
    return rates[rates["encoder"].isin(seconds.index[: MOST_BARS // 4])]


def _slowest_heads(heads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(heads, key=lambda row: (-row["seconds"], row["encoder"], row["head"]))[:MOST_BARS]


def _draw_stages(axes: Axes, stages: pd.DataFrame) -> None:
    names = [f"{row.encoder} · {row.stage}" for row in stages.itertuples()]
    labels = [f"{row.seconds:.3g} s, {row.images_per_s:,.0f} images/s" for row in stages.itertuples()]
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
