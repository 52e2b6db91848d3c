"""Pipelines side by side: rates cold and warm, processor time and memory, and which rows are marked."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.pipelines.table import NAMES, TRAINING, Row
from unchoke.report.style import COLOURS, GREY, new_figure, plain, styled

_HEIGHT = 0.38


@styled
def draw_pipelines(rows: Sequence[Row], recommended: str) -> Figure:
    """Rates of every pipeline that was measured, its memory and processor time; below the others, with why not.

    recommended: lines of YAML, which are shown too.
    """
    measured, others = [row for row in rows if row.measured], [row for row in rows if not row.measured]
    trained = [row for row in measured if row.task == TRAINING]
    measured = [row for row in measured if row.task != TRAINING]
    note = "\n".join(
        [*map(_epoch_of_training, trained), *(f"Not measured: {row.pipeline}: {row.note}." for row in others)]
    )
    lines = len(trained) + len(others) + recommended.count("\n") + 2
    title = f"Input pipelines side by side, {rows[0].images:,} images"
    figure = new_figure(12, 2.2 + 0.55 * len(measured) + 0.2 * lines, title)
    figure.supxlabel(f"{recommended}{note}", x=0.01, ha="left", size=9, family="DejaVu Sans Mono", color="#444444")
    rates, cpu, memory = figure.subplots(1, 3, sharey=True, width_ratios=[3, 1.4, 1.4])
    _draw_rates(rates, measured)
    _draw_bars(cpu, [row.cpu_s for row in measured], "processor seconds, warm epoch")
    _draw_bars(memory, [row.peak_mb for row in measured], "peak memory, MB")
    return figure


def _epoch_of_training(row: Row) -> str:
    return f"One epoch of training, {row.pipeline}: {row.cold_s:.3g} s the first time, {row.warm_s:.3g} s later."


def _draw_rates(axes: Axes, rows: Sequence[Row]) -> None:
    for shift, colour, name in ((-_HEIGHT / 2, COLOURS[0], "cold"), (_HEIGHT / 2, COLOURS[1], "warm")):
        values = [row.cold_images_per_s if name == "cold" else row.warm_images_per_s for row in rows]
        axes.barh([place + shift for place in range(len(rows))], values, _HEIGHT, color=colour, label=name)
        for place, value in enumerate(values):
            axes.annotate(
                f"{value:,.0f}", (value, place + shift), (4, 0), textcoords="offset points", va="center", size=9
            )
    axes.set_yticks(range(len(rows)), [plain(f"{row.pipeline}{' *' if row.differs else ''}", 34) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)
    marked = f" (*: {NAMES[rows[0].metric]} or unreadable images differ)" if any(row.differs for row in rows) else ""
    axes.set_xlabel(f"images/s{marked}")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _draw_bars(axes: Axes, values: list[float], title: str) -> None:
    axes.barh(range(len(values)), values, 2 * _HEIGHT, color=GREY)
    for place, value in enumerate(values):
        axes.annotate(f"{value:,.3g}", (value, place), (4, 0), textcoords="offset points", va="center", size=9)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.25)
    axes.set_xlabel(title)


def table_text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    head = f"{'pipeline':<34}{'cold/s':>8}{'warm/s':>8}{'CPU s':>8}{'MB':>8}{'unread':>8}"
    head += f"{NAMES[rows[0].metric]:>10}  difference"
    return "\n".join([head, *map(_line, rows)])


def _line(row: Row) -> str:
    if not row.measured:
        return f"{row.pipeline:<34}{row.note}"
    rates = f"{row.cold_images_per_s:>8,.0f}{row.warm_images_per_s:>8,.0f}{row.cpu_s:>8,.1f}{row.peak_mb:>8,.0f}"
    mark = f" * {row.note}" if row.differs else ""
    return f"{row.pipeline:<34}{rates}{row.unreadable:>8,}{row.accuracy:>10.4f}  {row.apart}{mark}"
