"""Test images with their words: found, missed, falsely found, ignored; from the worst image to the best."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from unchoke.errors import UnreadableImageError
from unchoke.metrics.h_mean import FIGURES, STRATA, ratios
from unchoke.report.mask_overlays import COLUMNS, ranked, shown_of
from unchoke.report.mask_pictures import PictureFiles, read_picture
from unchoke.report.style import GREY, new_figure, note_figure, plain, styled
from unchoke.store.run_record import counts_of_test

SIDE_PX = 1000  # longest side of a picture: words are small
# Colours of Okabe and Ito 2008; the style of the line tells the kinds apart without them.
KINDS = {
    "hit": ("found", "#56B4E9", "-"),
    "missed": ("missed word", "#E69F00", "--"),
    "false alarm": ("false alarm", "#D55E00", ":"),
    "ignored": ("ignored", "#bbbbbb", "-"),
}
"""What a line stands for, its colour and its style, by what was found."""


@dataclass(frozen=True)
class Overlay:
    """A test image with outlines of its words."""

    picture_HW3: NDArray[np.uint8] | str
    """Text: the reason for a missing picture."""
    outlines: Sequence[tuple[str, NDArray[np.float64]]]
    """Kind, of ``KINDS``, and corners (K, 2), px of the picture; `hit` is the outline that was detected."""
    counts: Sequence[int]
    """Matched pairs, counted detections and counted words."""
    rank: str
    """Its rank among the test images in words, or empty text."""
    path: str


def text_overlays(scores: Mapping[str, Any], files: PictureFiles) -> Iterator[Overlay]:
    """Up to six test images, the lowest H-mean first; scores: of ``score_text``."""
    everything = STRATA.index("all")
    counts = {image: each[everything] for image, each in counts_of_test(dict(scores), "counts_of_words").items()}
    h_means = {image: h_mean_of(count) for image, count in counts.items()}
    for image_id, rank in ranked(h_means).items():
        entry, path = scores["images"][str(image_id)], files.paths[image_id]
        try:
            picture_HW3, factor = read_picture(files, image_id, SIDE_PX)
            yield Overlay(picture_HW3, outlines_of(entry, factor), counts[image_id], rank, path)
        except UnreadableImageError as error:
            yield Overlay(str(error), [], counts[image_id], rank, path)


def h_mean_of(counts: Sequence[int]) -> float:
    """H-mean of one image; NaN where it has no word that counts."""
    return float(ratios(np.array(counts))[FIGURES.index("h_mean")])


def outlines_of(entry: Mapping[str, Any], factor: int) -> list[tuple[str, NDArray[np.float64]]]:
    """Detections, and words that were not found, px of a picture that is reduced by `factor`."""
    found = [(word["found"], word["polygon"]) for word in entry["detections"]]
    found += [
        ("ignored" if word["ignored"] else "missed", word["polygon"]) for word in entry["words"] if not word["found"]
    ]
    return [(kind, np.array(polygon, np.float64) / factor) for kind, polygon in found]


@styled
def draw_text_overlays(overlays: list[Overlay], images: int, title: str) -> Figure:
    """The given ones of `images` test images, a picture each."""
    heading = f"{title}: words on test"
    if not overlays:
        return note_figure(heading, "There are none: no test image has a word that counts.")
    rows = -(-len(overlays) // COLUMNS)
    height_in = 1.2 + rows * (0.8 + 6.6 * _highest(overlays))
    shown = shown_of([overlay.rank for overlay in overlays], images, "H-mean")
    figure = new_figure(14, height_in, f"{heading}, {shown}")
    for place, panel in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).ravel()):
        panel.set_axis_off()
        if place < len(overlays):
            _draw_overlay(panel, overlays[place])
    lines = [Line2D([], [], color=colour, ls=style, lw=2, label=label) for label, colour, style in KINDS.values()]
    figure.legend(handles=lines, loc="outside lower left", ncols=len(lines))
    return figure


def _highest(overlays: list[Overlay]) -> float:
    """Height over width of the narrowest picture, within bounds."""
    shapes = [overlay.picture_HW3.shape for overlay in overlays if not isinstance(overlay.picture_HW3, str)]
    return min(1.4, max((shape[0] / shape[1] for shape in shapes), default=0.5))


def _draw_overlay(axes: Axes, overlay: Overlay) -> None:
    if isinstance(overlay.picture_HW3, str):
        axes.imshow(np.full((2, 3, 3), 205, np.uint8))
        axes.text(1, 0.5, f"no picture:\n{plain(overlay.picture_HW3, 40)}", ha="center", va="center", size=9)
    else:
        axes.imshow(overlay.picture_HW3, interpolation="antialiased")
    for kind, corners_K2 in overlay.outlines:
        _, colour, style = KINDS[kind]
        line = Polygon(corners_K2, closed=True, fill=False, edgecolor=colour, linewidth=1.6, linestyle=style)
        line.set_path_effects([withStroke(linewidth=2.6, foreground="black")])
        axes.add_patch(line)
    axes.set_title(_title(overlay))
    axes.text(0, -0.02, plain(overlay.path, 60), size=8.5, color=GREY, transform=axes.transAxes, ha="left", va="top")


def _title(overlay: Overlay) -> str:
    matched, detections, words = overlay.counts
    h_mean = h_mean_of(overlay.counts)
    said = "no H-mean: no word counts" if math.isnan(h_mean) else f"H-mean {h_mean:.3f}"
    alarms = detections - matched
    score = f"{said}: {matched} of {words} words, {alarms} false alarm{'' if alarms == 1 else 's'}"
    return f"{overlay.rank}: {score}" if overlay.rank else score
