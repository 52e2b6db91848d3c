"""The leaderboard of mask heads as a picture and as a table."""

from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure

from unchoke.report.leaderboard import chosen_text, comparison_cells, draw_leaderboard, interval_text, warnings_text
from unchoke.report.style import note_figure

COLUMNS = (
    *("encoder", "head", "kind", "maps", "weights", "chosen", "val", "test", "95 % interval"),
    *("metric", "over images", "its 95 % interval over images", "sd over images", "Dice", "pixels right"),
    *("disagreement", "blend", "exact", "against the best on val", "its 95 % interval"),
    *("p", "p adjusted", "told apart", "replicates", "test images", "seconds", "warnings"),
)
NOTE = (
    "val, test: mean IoU of all pixels together; what is behind them is of test. metric: mean_iou is over the classes "
    "in the truth or predicted, mean_iou_in_truth over those in the truth. over images: the mean of the same figure of "
    "each test image, with its deviation over them. Dice: mean over the classes in the truth or predicted. "
    "disagreement: of the pixels that several patches show, the share for which these named different classes. exact: "
    "the network sees no farther than the halo, so that patches give what the whole image would. against the best on "
    "val: mean IoU less that of the head with the best mean IoU on val, on the same images; its interval is "
    "for this comparison alone. p: of the same Student's t as the interval. p adjusted: for the number of heads (Holm "
    "1979). told apart: p adjusted is below 0.05; of equal heads, any is told apart in at most one table of twenty. "
    "edge of grid: the smallest or largest value that was tried, so that a better one may lie beyond."
)


def table_rows(rows: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """The rows of the view ``mask_leaderboard`` under our COLUMNS."""
    for row in rows:
        best = row["is_best"]
        yield (
            *(row[name] for name in ("encoder", "head", "kind", "maps", "weights")),
            chosen_text(row),
            row["val_mean_iou"],
            row["test_mean_iou"],
            interval_text(row["test_low"], row["test_high"]),
            row["metric"],
            row["test_image_mean_iou"],
            interval_text(row["test_image_low"], row["test_image_high"]),
            row["test_image_sd"],
            *(row[name] for name in ("test_mean_dice", "test_pixel_accuracy", "disagreement", "blend")),
            None if row["exact"] is None else "yes" if row["exact"] else "no",
            "is the best" if best else row["difference"],
            None if best else interval_text(row["difference_low"], row["difference_high"]),
            *comparison_cells(row),
            *(row[name] for name in ("replicates", "test_images", "seconds")),
            warnings_text(row),
        )


def draw_mask_board(rows: list[dict[str, Any]]) -> Figure:
    """Mean IoU of all test pixels with its 95 % interval, and beside it the mean over images with its deviation.

    rows: those of the view ``mask_leaderboard``, the best on val first.
    """
    scored = [row for row in rows if row["test_mean_iou"] is not None]
    if rows and not scored:
        return note_figure("Leaderboard", "No head has segmented test images: segment.heads in the config names none.")
    return draw_leaderboard([row | {"beside": _over_images(row)} for row in scored], "mean IoU", "test_mean_iou")


def _over_images(row: dict[str, Any]) -> str:
    spread = "" if row["test_image_sd"] is None else f" ± {row['test_image_sd']:.3f}"
    return f", over images {row['test_image_mean_iou']:.3f}{spread}"
