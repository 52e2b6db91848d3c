"""Learning curves of mask heads, over epochs and over time."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unchoke.report.curves import draw_lines, lines_of
from unchoke.report.style import logarithmic, new_figure, styled

_KEPT = {
    "best": "Of each setting and seed the weights of its best epoch are kept.",
    "last": "The weights of the last epoch are kept.",
}


@styled
def draw_mask_curves(
    curves: dict[str, NDArray[np.floating]],
    seconds: list[float],
    history: dict[str, list[Any]],
    settings: dict[str, Any],
    chosen: dict[str, Any],
    title: str,
) -> Figure:
    """Loss on train over the epochs, and mean IoU on val over the epochs and over the seconds; a line a setting.

    curves: train_loss and val_iou (E, L, S). seconds: from the start of training to the end of each epoch, or of the
    last ones where it was interrupted before. Lines are means over the seeds.
    """
    figure = new_figure(14, 4.8, f"{title}: learning curves", _note(curves["val_iou"].shape, len(seconds), settings))
    loss, by_epoch, by_time = figure.subplots(1, 3)
    lines = lines_of(curves["val_iou"], history, settings, chosen)
    draw_lines(loss, curves["train_loss"], lines)
    draw_lines(by_epoch, curves["val_iou"], lines)
    draw_lines(by_time, curves["val_iou"][-len(seconds) :], lines, np.array(seconds))
    logarithmic(loss, curves["train_loss"].ravel())
    by_time.sharey(by_epoch)
    by_time.set_xlim(left=0)
    loss.set_title("loss on train")
    by_epoch.set_title("mean IoU on val")
    by_time.set_title("mean IoU on val, by the clock")
    figure.legend(*by_epoch.get_legend_handles_labels(), loc="outside right upper", fontsize=9)
    return figure


def _note(shape: tuple[int, ...], timed: int, settings: dict[str, Any]) -> str:
    epochs, trials, seeds = shape
    members = trials * seeds
    notes = [f"Means over {seeds} seeds, with their range." if seeds > 1 else "", _KEPT[settings["keep"]]]
    notes += [f"The clock is that of all {members} trainings, which run side by side." if members > 1 else ""]
    notes += [f"It starts anew after epoch {epochs - timed}, where training was interrupted." if timed < epochs else ""]
    return " ".join(filter(None, notes))
