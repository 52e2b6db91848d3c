"""What a run would gain without each step of extraction or training."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.profiling.page import Profiles, unit_of
from unchoke.profiling.verdict import rate_text
from unchoke.report.style import COLOURS, GREY, new_figure, plain, styled


@styled
def draw_profile(profiles: Profiles) -> Figure:
    """A panel a profile, a bar a step: images/s without it, the bottleneck in orange, beside a line for the whole run.

    profiles: as ``profiling.command.profile_pipeline`` gives them.
    """
    named = [(of, name, profile) for of, group in profiles.items() for name, profile in group.items()]
    figure = new_figure(10, 1 + 3.2 * len(named), "Rate without each step")
    panels = figure.subplots(len(named), 1, squeeze=False)[:, 0]
    for axes, (of, name, profile) in zip(panels, named, strict=True):
        _draw(axes, profile)
        rate = rate_text(profile["images_per_s"])
        axes.set_title(f"{of} of {plain(name)}: whole run {rate} {unit_of(profile)}/s, the line")
    return figure


def _draw(axes: Axes, profile: Mapping[str, Any]) -> None:
    rows = [row for row in (*profile["steps"], *profile["remedies"]) if row["times"] is not None]
    rates = [row["images_per_s"] for row in rows]
    colours = [COLOURS[1] if row["step"] == profile["bottleneck"] else COLOURS[0] for row in rows]
    axes.barh(range(len(rows)), rates, color=colours, height=0.65)
    axes.axvline(profile["images_per_s"], color=GREY)
    for place, row in enumerate(rows):
        alone = f"; {1000 * row['alone_s']:.2f} ms alone" if "alone_s" in row else " with this setting"
        label = f"{row['times']:.2f} × ± {row['spread'] / 2:.2f}{alone}"
        end = max(row["images_per_s"], profile["images_per_s"])
        axes.annotate(label, (end, place), (5, 0), textcoords="offset points", va="center", size=9.5)
    axes.set_yticks(range(len(rows)), [row["step"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(*rates, profile["images_per_s"]) * 1.4)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{unit_of(profile)}/s")
