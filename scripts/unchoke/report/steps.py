"""How the training of a network went, step by step: loss, speed, and memory below the budget."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from unchoke.report.style import COLOURS, GREY, logarithmic, new_figure, styled

MOST_POINTS = 1000
"""Points of a line, at most; each is the median of the steps around it."""


@styled
def draw_steps(steps: dict[str, pd.DataFrame], budget_mb: float, title: str) -> Figure:
    """Loss, images a second and memory over the steps, a line a training.

    steps: columns of ``tables.STEP_COLUMNS``, by what tells a training from the others, such as its seed. budget_mb:
    memory that the training may take, drawn as a line.
    """
    figure = new_figure(14, 4.4, f"{title}: steps of the training", _note(steps))
    loss, speed, memory = figure.subplots(1, 3)
    for place, (name, frame) in enumerate(steps.items()):
        colour = COLOURS[place % len(COLOURS)]
        for axes, column in ((loss, "loss"), (speed, "images_per_s"), (memory, "peak_mb")):
            axes.plot(*thinned(frame, column), color=colour, label=name, linewidth=1.2)
    logarithmic(loss, np.concatenate([frame["loss"].to_numpy() for frame in steps.values()]))
    memory.axhline(budget_mb, color=GREY, linestyle="--", label=f"budget {budget_mb:,.0f} MB")
    for axes, name in ((loss, "loss on train"), (speed, "images a second"), (memory, "most memory so far, MB")):
        axes.set_title(name)
        axes.set_xlabel("step")
    for axes in (speed, memory):
        axes.set_ylim(bottom=0)
    figure.legend(*memory.get_legend_handles_labels(), loc="outside right upper", fontsize=9)
    return figure


def thinned(frame: pd.DataFrame, column: str) -> tuple[list[float], list[float]]:
    """Steps and values of a column; of many steps the medians of ``MOST_POINTS`` runs of them."""
    part = frame[["step", column]]
    if len(part) > MOST_POINTS:
        part = part.groupby(np.arange(len(part)) * MOST_POINTS // len(part)).median()
    return part["step"].tolist(), part[column].tolist()


def _note(steps: dict[str, pd.DataFrame]) -> str:
    """Micro-batches that were taken, and what the allocator had to do for them."""
    sizes = sorted({int(size) for frame in steps.values() for size in frame["micro_batch"]}, reverse=True)
    retries = max((int(frame["retries"].max()) for frame in steps.values() if len(frame)), default=0)
    said = [f"Images at once: {', '.join(map(str, sizes))}."] if sizes else []
    if len(sizes) > 1:
        said.append("Memory ran out, or nearly did, so that steps were done again in halves.")
    return " ".join([*said, *([f"The allocator tried again {retries} times."] if retries else [])])
