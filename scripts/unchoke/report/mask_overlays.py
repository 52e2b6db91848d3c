"""Test images with the outlines of the true and the predicted masks, from the worst image to the best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from unchoke.metrics import iou as overlaps
from unchoke.names import IGNORED
from unchoke.report.mask_pictures import Views
from unchoke.report.style import COLOURS, GREY, new_figure, note_figure, plain, styled

COLUMNS = 2
QUANTILES = (0, 1 / 6, 1 / 3, 1 / 2, 3 / 4, 1)
"""The shown images, as quantiles of their scores."""
MOST_CLASSES = 4  # as many as fit below a picture
TRUTH, PREDICTION = COLOURS[1], COLOURS[5]
WRONG = "#F0E442"  # a colour that occurs neither in tissue nor in grey images
_OPACITY = 0.65
_HIDDEN = "#ffffff"


@dataclass(frozen=True)
class Overlay:
    """A test image with the counts of its predicted mask."""

    views: Views | str
    """Text: the reason for a missing picture."""
    counts_CC: NDArray[np.int64]
    """Its pixels by true and predicted class."""
    rank: str
    """Its rank among the test images in words, or empty text."""
    path: str


def ranked(scores: dict[int, float]) -> dict[int, str]:
    """By image_id: up to six images and their ranks in words, the lowest score first; NaN, no score, is left out.

    Where all have one score, none has a rank.
    """
    order = sorted((image_id for image_id in scores if np.isfinite(scores[image_id])), key=lambda i: (scores[i], i))
    last = len(order) - 1
    places = {int(quantile * last) for quantile in QUANTILES} if last >= len(QUANTILES) else set(range(last + 1))
    differ = last > 0 and scores[order[0]] < scores[order[-1]]
    names = {last // 2: "median", last: "best", 0: "worst"} if differ else {}
    return {order[place]: names.get(place, "") for place in sorted(places)}


def shown_of(ranks: Sequence[str], images: int, figure: str) -> str:
    """How many of the images are shown, and whether all have the same figure. ranks: as ``ranked`` gives them."""
    alike = f", all with the same {figure}" if len(ranks) > 1 and not any(ranks) else ""
    return f"{len(ranks)} of {images:,} images{alike}"


@styled
def draw_mask_overlays(overlays: list[Overlay], classes: list[str], images: int, title: str) -> Figure:
    """The given ones of `images` test images, a picture each."""
    heading = f"{title}: masks on test"
    if not overlays:
        return note_figure(heading, "There are none: no test image has a pixel that counts.")
    rows = -(-len(overlays) // COLUMNS)
    height_in = 1.2 + rows * (0.9 + 5.8 * _highest(overlays))
    shown = shown_of([overlay.rank for overlay in overlays], images, "mean IoU")
    figure = new_figure(12, height_in, f"{heading}, {shown}")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for place, panel in enumerate(axes):
        panel.set_axis_off()
        if place < len(overlays):
            _draw_overlay(panel, overlays[place], classes)
    figure.legend(handles=_legend(overlays), loc="outside lower left", ncols=4)
    return figure


def _highest(overlays: list[Overlay]) -> float:
    """Height over width of the narrowest picture, within bounds."""
    shapes = [overlay.views.truth_HW.shape for overlay in overlays if not isinstance(overlay.views, str)]
    return min(1.4, max((height / width for height, width in shapes), default=0.5))


def _draw_overlay(axes: Axes, overlay: Overlay, classes: list[str]) -> None:
    if isinstance(overlay.views, str):
        axes.imshow(np.full((2, 3, 3), 205, np.uint8))
        axes.text(1, 0.5, f"no picture:\n{plain(overlay.views, 40)}", ha="center", va="center", size=9)
    else:
        _draw_views(axes, overlay.views)
    score = f"mean IoU {float(overlaps.mean_iou(overlay.counts_CC)):.3f}"
    axes.set_title(f"{overlay.rank}: {score}" if overlay.rank else score)
    below = [plain(overlay.path, 50), *_class_lines(overlay.counts_CC, classes)]
    axes.text(0, -0.02, "\n".join(below), size=8.5, color=GREY, transform=axes.transAxes, ha="left", va="top")


def _class_lines(counts_CC: NDArray[np.int64], classes: list[str]) -> list[str]:
    """The IoU of each class, where they are few."""
    if len(classes) > MOST_CLASSES:
        return []
    scores = zip(classes, overlaps.iou(counts_CC).tolist(), strict=True)
    return ["IoU: " + ", ".join(f"{plain(name, 14)} {iou:.3f}" for name, iou in scores if np.isfinite(iou))]


def _draw_views(axes: Axes, views: Views) -> None:
    axes.imshow(views.picture_HW3, interpolation="antialiased")
    axes.imshow(_tint(_hidden(views), _HIDDEN), interpolation="nearest")
    axes.imshow(_tint(_wrong(views), WRONG), interpolation="nearest")
    _outline(axes, views.truth_HW, TRUTH, 2.6)
    _outline(axes, views.predicted_HW, PREDICTION, 1.3)
    height, width = views.truth_HW.shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _hidden(views: Views) -> NDArray[np.bool_]:
    """Ignored pixels."""
    hidden_HW: NDArray[np.bool_] = (views.truth_HW == IGNORED) | (views.predicted_HW == IGNORED)
    return hidden_HW


def _wrong(views: Views) -> NDArray[np.bool_]:
    wrong_HW: NDArray[np.bool_] = (views.truth_HW != views.predicted_HW) & ~_hidden(views)
    return wrong_HW


def _tint(where_HW: NDArray[np.bool_], colour: str) -> NDArray[np.float64]:
    """A picture (H, W, 4) of one colour, transparent elsewhere."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return np.where(where_HW[..., None], (red, green, blue, _OPACITY), 0.0)


def _outline(axes: Axes, label_HW: NDArray[np.uint8], colour: str, width: float) -> None:
    """Lines around the regions of every class but the first, whose border the others share."""
    for place in np.unique(label_HW[(label_HW > 0) & (label_HW != IGNORED)]):
        inside_HW = (label_HW == place).astype(float)
        if min(inside_HW.shape) > 1 and not inside_HW.all():
            lines = axes.contour(inside_HW, levels=[0.5], colors=colour, linewidths=width)
            lines.set_path_effects([withStroke(linewidth=width + 0.6, foreground="black")])


def _legend(overlays: list[Overlay]) -> list[Line2D | Patch]:
    lines = [("true outline", TRUTH, 2.6), ("predicted outline", PREDICTION, 1.3)]
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=colour, linewidth=width, label=label) for label, colour, width in lines
    ]
    handles.append(Patch(facecolor=WRONG, alpha=_OPACITY, label="wrong class"))
    if any(not isinstance(overlay.views, str) and _hidden(overlay.views).any() for overlay in overlays):
        handles.append(Patch(facecolor=_HIDDEN, edgecolor=GREY, label="does not count"))
    return handles
