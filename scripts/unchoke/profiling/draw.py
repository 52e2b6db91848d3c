"""What a run would gain without each step of extraction."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.report.style import COLOURS, GREY, new_figure, plain, styled


@styled
def draw_profile(profiles: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A panel an encoder, a bar a step: images/s without it, the bottleneck in orange, beside a line for the whole run.

    profiles: as ``profiling.profile.profile_pipeline`` gives them.
    """
    figure = new_figure(10, 1 + 3.2 * len(profiles), "Images/s without each step")
    panels = figure.subplots(len(profiles), 1, squeeze=False)[:, 0]
    for axes, (name, profile) in zip(panels, profiles.items(), strict=True):
        _draw(axes, profile)
        axes.set_title(f"{plain(name)}: whole run {profile['images_per_s']:,.1f} images/s, the line")
    return figure


def _draw(axes: Axes, profile: Mapping[str, Any]) -> None:
    rows = profile["steps"]
    rates = [row["images_per_s"] for row in rows]
    colours = [COLOURS[1] if row["step"] == profile["bottleneck"] else COLOURS[0] for row in rows]
    axes.barh(range(len(rows)), rates, color=colours, height=0.65)
    for place, row in enumerate(rows):
        label = f"{row['times']:.2f} × ± {row['spread'] / 2:.2f}; {1000 * row['alone_s']:.2f} ms alone"
        axes.annotate(label, (row["images_per_s"], place), (5, 0), textcoords="offset points", va="center", size=9.5)
    axes.axvline(profile["images_per_s"], color=GREY)
    axes.set_yticks(range(len(rows)), [row["step"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(rates) * 1.4)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("images/s")
