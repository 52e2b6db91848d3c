"""The leaderboard as a picture."""

import json
from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.experiments.leaderboard import FLOOR, MAJORITY
from unchoke.metrics.classification import LOWER_IS_BETTER, SPOKEN
from unchoke.metrics.grids import choice_text
from unchoke.report.style import COLOURS, GREY, MARKERS, new_figure, note_figure, plain, styled

COLUMNS = (
    *("encoder", "head", "pool", "weights", "chosen", "val", "test", "95 % interval", "sd", "accuracy", "balanced"),
    *("macro F1", "AUROC", "average precision", "ECE", "log loss", "Brier", "against the best on val"),
    *("its 95 % interval", "p", "p adjusted", "told apart", "seconds", "warnings"),
)
NOTE = (
    "val, test: {metric}; all behind them is of test. sd: over seeds or draws. against the best on val: {metric} less "
    "that of the head with the best {metric} on val, on the same images; its interval is for this comparison alone. p: "
    "of the same Student's t as the interval. p adjusted: for the number of heads (Holm 1979). told apart: p adjusted "
    "is below 0.05; of equal heads, any is told apart in at most one table of twenty. edge of grid: the smallest or "
    "largest value that was tried, so that a better one may lie beyond. ECE, log loss, Brier: with the temperature "
    "fitted on val."
)


def table_rows(rows: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """The rows of the view ``leaderboard`` under our COLUMNS."""
    for row in rows:
        names = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision", "ece", "log_loss", "brier")
        yield (
            *(row[name] for name in ("encoder", "head", "pool", "weights")),
            chosen_text(row),
            row["val"],
            row["test"],
            interval_text(row["test_low"], row["test_high"]),
            row["test_sd"],
            *(row[f"test_{name}"] for name in names),
            "is the best" if row["is_best"] else row["difference"],
            None if row["is_best"] else interval_text(row["difference_low"], row["difference_high"]),
            *comparison_cells(row),
            row["seconds"],
            warnings_text(row),
        )


def note_of(metric: str) -> str:
    """What the columns of the table say, by the metric that ranks."""
    spoken = SPOKEN[metric]
    better = f" {spoken[0].upper()}{spoken[1:]}: the lower, the better." if metric in LOWER_IS_BETTER else ""
    return f"{NOTE.format(metric=spoken)} {MAJORITY}: always the largest class of train; a head must be better.{better}"


def floor_cells(largest: str, val: float | None, test: float | None) -> tuple[Any, ...]:
    """The row of the table for who always says the largest class of train."""
    return (None, MAJORITY, None, None, f"always {largest}", val, test, *[None] * (len(COLUMNS) - 7))


def chosen_text(row: dict[str, Any]) -> str:
    """The setting that was best on val, in words, marked where it lies at the edge of its grid."""
    return choice_text(json.loads(row["chosen"]), json.loads(row["edges"])).replace("_", " ")


def comparison_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    """The p-value of the comparison with the best, the adjusted one, and whether the two are told apart."""
    if row["is_best"] or row["p_adjusted"] is None:
        return (None, None, None)
    return row["p_value"], row["p_adjusted"], "yes" if row["told_apart"] else "no"


def warnings_text(row: dict[str, Any]) -> str:
    """All that the training of a head warned of."""
    return "; ".join(json.loads(row["warnings"]))


def interval_text(low: float | None, high: float | None) -> str | None:
    """``0.5000 to 0.7500``, or None where it is not known."""
    return None if low is None or high is None else f"{low:.4f} to {high:.4f}"


@styled
def draw_leaderboard(
    rows: list[dict[str, Any]],
    figure_of_merit: str = "accuracy",
    column: str = "test",
    floor: tuple[str, float | None] | None = None,
) -> Figure:
    """A figure on test with its 95 % interval: a line a head, a dot an encoder.

    rows: those of the view ``leaderboard``, the best on val first, or those of ``mask_leaderboard`` that have scores;
    `beside`, where a row has it, is text behind its figure.
    figure_of_merit: in words, such as "accuracy" or "mean IoU"; its values stand in `column`. floor: the largest class
    of train, and what always saying it is worth.
    """
    if not rows:
        return note_figure("Leaderboard", "No head has been trained: the config names none.")
    heads = list(dict.fromkeys(row["head"] for row in rows))
    encoders = {row["encoder"]: row["weights"] for row in sorted(rows, key=lambda row: row["encoder"])}
    height_in = 1.9 + max(0.4 * len(heads), 0.26 * len(heads) * len(encoders))
    title = f"{figure_of_merit[0].upper()}{figure_of_merit[1:]} on test, with 95 % intervals"
    title += " (untrained weights: a floor)" if set(encoders.values()) == {"untrained"} else ""
    figure = new_figure(10, height_in, title, FLOOR if "untrained" in encoders.values() else "")
    axes = figure.subplots()
    for place, (encoder, weights) in enumerate(encoders.items()):
        below = (place - (len(encoders) - 1) / 2) * 0.8 / len(encoders)
        own = [row | {"value": row[column]} for row in rows if row["encoder"] == encoder]
        _draw_encoder(axes, own, heads, below, place, weights)
    if floor and floor[1] is not None:
        label = f"always {plain(floor[0])}: {floor[1]:.3f}"
        axes.axvline(floor[1], color=GREY, linestyle="--", linewidth=1, label=label)
    label = f"{figure_of_merit} on {rows[0]['test_images']:,} test images"
    _finish(axes, heads, label, len(encoders), 0.6 if "beside" in rows[0] else 0.18)
    return figure


def _draw_encoder(
    axes: Axes, rows: list[dict[str, Any]], heads: list[str], below: float, place: int, weights: str
) -> None:
    """Dots and bars of one encoder, each a little below or above the line of its head."""
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    label = plain(rows[0]["encoder"]) + (" (untrained weights)" if weights == "untrained" else "")
    y = [heads.index(row["head"]) + below for row in rows]
    axes.plot([row["value"] for row in rows], y, marker, color=colour, label=label)
    for row, height in zip(rows, y, strict=True):
        ends = [row["test_low"], row["test_high"]]
        if None not in ends:
            axes.plot(ends, [height, height], color=colour, linewidth=2)
        mark = " best on val" if row["is_best"] else ""
        edge = row["value"] if None in ends else ends[1]
        axes.annotate(
            f"{row['value']:.3f}{mark}{row.get('beside', '')}",
            (edge, height),
            (6, 0),
            textcoords="offset points",
            va="center",
            size=10,
        )


def _finish(axes: Axes, heads: list[str], label: str, encoders: int, room: float) -> None:
    for line in range(1, len(heads), 2):
        axes.axhspan(line - 0.5, line + 0.5, color="#f4f4f4", zorder=0)
    axes.set_ylim(len(heads) - 0.5, -0.5)
    axes.set_yticks(range(len(heads)), [plain(head) for head in heads])
    axes.grid(visible=False, axis="y")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + room * (high - low))  # room for the figures
    axes.set_xlabel(label, color=GREY)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(encoders, 3), borderaxespad=0.2)
