"""The leaderboard as a table and as a picture, of heads of any task."""

import json
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.experiments.leaderboard import FLOOR, FLOORS, MAJORITY_NOTE, SPOKEN
from unchoke.metrics.classification import LOWER_IS_BETTER, written
from unchoke.metrics.grids import choice_text
from unchoke.names import CLASSIFICATION, IMAGE_TASKS, MULTILABEL, REGRESSION
from unchoke.report.style import COLOURS, GREY, MARKERS, new_figure, note_figure, plain, styled
from unchoke.store.run_record import DETECTION, SEGMENTATION

Row = dict[str, Any]
"""Of the view ``leaderboard``."""

NOTES = {
    CLASSIFICATION: (
        "val, test: {metric}; all behind them is of test. sd: over seeds or draws. ECE, log loss, Brier: with the "
        f"temperature fitted on val. {MAJORITY_NOTE}"
    ),
    REGRESSION: (
        "val, test: {metric}; all behind them is of test. sd: over seeds. MAE: mean absolute error, in units of the "
        f"target. R² and Spearman's rank correlation are undefined for a constant target. {FLOORS[REGRESSION][1]}"
    ),
    MULTILABEL: (
        "val, test: {metric}; all behind them is of test. sd: over seeds. Figures are means over the labels: average "
        "precision over those that an image of the split has, AUROC over those that others have not, F1 at the "
        f"thresholds that val chose. {FLOORS[MULTILABEL][1]}"
    ),
    SEGMENTATION: (
        "val, test: mean IoU of all pixels together; what is behind them is of test. pool: strides of the maps. "
        "metric: mean_iou is over the classes in the truth or predicted, mean_iou_in_truth over those in the truth. "
        "over images: the mean of the same figure of each test image, with its deviation over them. Dice: mean over "
        "the classes in the truth or predicted. disagreement: of the pixels that several patches show, the share for "
        "which these named different classes. exact: the network sees no farther than the halo, so that patches give "
        "what the whole image would."
    ),
    DETECTION: (
        "val, test: H-mean of all words together, at the thresholds that are best on val; what is behind them is of "
        "test. pool: strides of the maps. mean IoU: of the maps of shrunk words. exact: the network sees no farther "
        "than the halo, so that patches give what the whole image would."
    ),
}
UNDEFINED = "H-mean on test is undefined: no word of test counts."
_COMPARED = (
    "against the best on val: {metric} less that of the head with the best {metric} on val, on the same images; its "
    "interval is for this comparison alone. p: of the same Student's t as the interval. p adjusted: for the number of "
    "heads (Holm 1979). told apart: p adjusted is below 0.05; of equal heads, any is told apart in at most one table "
    "of twenty. edge of grid: the smallest or largest value that was tried, so that a better one may lie beyond."
)


def note_of(task: str, metric: str) -> str:
    """Explanation of the table's columns, for a task and a ranking metric."""
    spoken = merit_of(task, metric)
    better = f" {spoken[0].upper()}{spoken[1:]}: the lower, the better." if metric in LOWER_IS_BETTER else ""
    return f"{NOTES[task]} {_COMPARED}".format(metric=spoken) + better


def merit_of(task: str, metric: str) -> str:
    """The metric that ranks in few words."""
    return {SEGMENTATION: "mean IoU", DETECTION: "H-mean"}.get(task) or SPOKEN[metric]


def interval_text(low: float | None, high: float | None) -> str | None:
    """``0.5000 to 0.7500``, or None where it is not known."""
    return None if low is None or high is None else f"{low:.4f} to {high:.4f}"


def chosen_text(row: dict[str, Any]) -> str:
    """The setting that was best on val, in words, marked where it lies at the edge of its grid."""
    return choice_text(json.loads(row["chosen"]), json.loads(row["edges"])).replace("_", " ")


def _ends(name: str) -> Callable[[Row], str | None]:
    return lambda row: interval_text(row[f"{name}_low"], row[f"{name}_high"])


def _unless_best(cell: Callable[[Row], Any], best: str | None = None) -> Callable[[Row], Any]:
    return lambda row: best if row["is_best"] else cell(row)


def _yes(name: str) -> Callable[[Row], str | None]:
    return lambda row: None if row[name] is None else "yes" if row[name] else "no"


_FIRST: dict[str, Callable[[Row], Any]] = {
    **{name: itemgetter(name) for name in ("encoder", "head", "kind", "pool", "weights")},
    "chosen": chosen_text,
    "val": itemgetter("val"),
    "test": itemgetter("test"),
    "95 % interval": _ends("test"),
}
_OWN: dict[str, dict[str, Callable[[Row], Any]]] = {
    CLASSIFICATION: {
        "sd": itemgetter("test_sd"),
        "accuracy": itemgetter("test_accuracy"),
        "balanced": itemgetter("test_balanced_accuracy"),
        "macro F1": itemgetter("test_macro_f1"),
        "AUROC": itemgetter("test_auroc"),
        "average precision": itemgetter("test_average_precision"),
        "ECE": itemgetter("test_ece"),
        "log loss": itemgetter("test_log_loss"),
        "Brier": itemgetter("test_brier"),
    },
    REGRESSION: {
        "sd": itemgetter("test_sd"),
        "MAE": itemgetter("test_mae"),
        "R²": itemgetter("test_r2"),
        "Spearman": itemgetter("test_spearman"),
    },
    MULTILABEL: {
        "sd": itemgetter("test_sd"),
        "average precision": itemgetter("test_average_precision"),
        "AUROC": itemgetter("test_auroc"),
        "macro F1": itemgetter("test_macro_f1"),
        "micro F1": itemgetter("test_micro_f1"),
    },
    SEGMENTATION: {
        "metric": itemgetter("metric"),
        "over images": itemgetter("test_over_images"),
        "its 95 % interval over images": _ends("test_over_images"),
        "sd over images": itemgetter("test_over_images_sd"),
        "Dice": itemgetter("test_mean_dice"),
        "pixels right": itemgetter("test_pixel_accuracy"),
        "disagreement": itemgetter("disagreement"),
        "blend": itemgetter("blend"),
        "exact": _yes("exact"),
    },
    DETECTION: {
        "precision": itemgetter("test_precision"),
        "recall": itemgetter("test_recall"),
        "mean IoU": itemgetter("test_mean_iou"),
        "disagreement": itemgetter("disagreement"),
        "blend": itemgetter("blend"),
        "exact": _yes("exact"),
    },
}
_LAST: dict[str, Callable[[Row], Any]] = {
    "against the best on val": _unless_best(itemgetter("difference"), "is the best"),
    "its 95 % interval": _unless_best(_ends("difference")),
    "p": _unless_best(itemgetter("p_value")),
    "p adjusted": _unless_best(itemgetter("p_adjusted")),
    "told apart": _unless_best(_yes("told_apart")),
    "began with": itemgetter("start"),
    "gain over it": itemgetter("gain"),
    "gain's 95 % interval": _ends("gain"),
    "replicates": itemgetter("replicates"),
    "test images": itemgetter("test_images"),
    "seconds": itemgetter("seconds"),
    "warnings": lambda row: "; ".join(json.loads(row["warnings"])),
}


def columns_of(task: str) -> dict[str, Callable[[Row], Any]]:
    """By name of each column of the table: the function for its cells."""
    return {**_FIRST, **_OWN[task], **_LAST}


def table_rows(rows: list[Row]) -> Iterator[tuple[Any, ...]]:
    """The rows of the view under the columns of their task."""
    for row in rows:
        yield tuple(cell(row) for cell in columns_of(row["task"]).values())


def floor_cells(
    columns: Iterable[str], task: str, largest: str, val: float | None, test: float | None
) -> tuple[Any, ...]:
    """The row of the table for a constant prediction of train's largest class."""
    known = {"head": FLOORS[task][0], "chosen": f"always {largest}", "val": val, "test": test}
    return tuple(known.get(column) for column in columns)


@styled
def draw_leaderboard(
    rows: list[Row], figure_of_merit: str = "accuracy", floor: tuple[str, float | None] | None = None
) -> Figure:
    """A figure on test with its 95 % interval, where there is one: a line a head, a dot an encoder.

    rows: those of the view, the best on val first; the mean over images of mask heads stands beside their figure.
    figure_of_merit: in words, such as "accuracy" or "mean IoU". floor: the largest class of train, and what always
    saying it is worth.
    """
    if not rows:
        return note_figure("Leaderboard", "No head has been trained: the config names none.")
    without = _without_figures(rows)
    rows = [row for row in rows if row["test"] is not None or row["task"] in IMAGE_TASKS]
    if not rows:
        return note_figure("Leaderboard", without)
    heads = list(dict.fromkeys(row["head"] for row in rows))
    encoders = {row["encoder"]: row["weights"] for row in sorted(rows, key=lambda row: row["encoder"])}
    height_in = 1.9 + max(0.4 * len(heads), 0.26 * len(heads) * len(encoders))
    title = f"{figure_of_merit[0].upper()}{figure_of_merit[1:]} on test"
    title += ", with 95 % intervals" if any(row["test_low"] is not None for row in rows) else ""
    title += " (untrained weights: a floor)" if set(encoders.values()) == {"untrained"} else ""
    figure = new_figure(10, height_in, title, FLOOR if "untrained" in encoders.values() else "")
    axes = figure.subplots()
    for place, (encoder, weights) in enumerate(encoders.items()):
        below = (place - (len(encoders) - 1) / 2) * 0.8 / len(encoders)
        own = [row for row in rows if row["encoder"] == encoder]
        _draw_encoder(axes, own, heads, below, place, weights)
    if floor and floor[1] is not None:
        label = f"always {plain(floor[0])}: {written(floor[1], 3)}"
        low, high = axes.get_xlim()  # a far floor would compress the heads' scale, so only its value is printed
        axes.axvline(floor[1], color=GREY, linestyle="--", linewidth=1, label=label)
        axes.set_xlim(low, high)
    label = f"{figure_of_merit} on {rows[0]['test_images']:,} test images"
    _finish(axes, heads, label, len(encoders), 0.18 if rows[0]["task"] in IMAGE_TASKS else 0.6)
    return figure


def _without_figures(rows: list[Row]) -> str:
    """Why no head has a figure on test."""
    if any(row["task"] == DETECTION and row["blend"] is not None for row in rows):
        return UNDEFINED
    return "No head has segmented test images: segment.heads in the config names none."


def _draw_encoder(axes: Axes, rows: list[Row], heads: list[str], below: float, place: int, weights: str) -> None:
    """Dots and bars of one encoder, each a little below or above the line of its head."""
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    label = plain(rows[0]["encoder"]) + (" (untrained weights)" if weights == "untrained" else "")
    y = [heads.index(row["head"]) + below for row in rows]
    axes.plot([row["test"] for row in rows], y, marker, color=colour, label=label)
    for row, height in zip(rows, y, strict=True):
        ends = [row["test_low"], row["test_high"]]
        if None not in ends:
            axes.plot(ends, [height, height], color=colour, linewidth=2)
        mark = " best on val" if row["is_best"] else ""
        edge = row["test"] if None in ends else ends[1]
        axes.annotate(
            f"{written(row['test'], 3)}{mark}{_over_images(row)}",
            (edge, height),
            (6, 0),
            textcoords="offset points",
            va="center",
            size=10,
        )


def _over_images(row: Row) -> str:
    if row["task"] != SEGMENTATION:
        return ""
    spread = "" if row["test_over_images_sd"] is None else f" ± {row['test_over_images_sd']:.3f}"
    return f", over images {row['test_over_images']:.3f}{spread}"


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
