"""Contact sheets: pictures of each cleaning rule's findings."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from unchoke.report.cleaning.findings import STATES, spoken
from unchoke.report.style import COLOURS, new_figure, note_figure, plain, styled

MOST_PICTURES = 24
COLUMNS = 6
MEASURED = {"dark": "mean", "bright": "mean", "blank": "deviation", "blurred": "sharpness"}
"""What the value of a finding is, by rule."""
KEPT = "kept"
COLOUR_OF = {**STATES, KEPT: COLOURS[2]}
"""The frame of a picture by the image's state."""
_NEAREST_PX = 64  # smaller pictures show their pixels


@dataclass(frozen=True)
class Tile:
    """A picture on a sheet."""

    picture: NDArray[np.uint8] | str
    """uint8 (height, width, 3), or why there is none."""
    state: str
    """A key of COLOUR_OF, the colour of the frame."""
    lines: tuple[str, ...]
    """What stands below."""


def sample(found: pd.DataFrame, most: int = MOST_PICTURES) -> pd.DataFrame:
    """At most `most` of one rule's findings: evenly spaced by their values, or from as many clusters as there is room.

    Of labels that are probably wrong the surest come first. Of a cluster one copy of each label comes first, then a
    second one of each, and so on; copies of one cluster stay side by side, the one that stays first. found: the columns
    of tables.FINDING_COLUMNS.
    """
    if (found["cluster"] >= 0).any():
        ordered = found.sort_values(["cluster", "other", "image_id"])
        turn = ordered.groupby(["cluster", "label"]).cumcount()
        return ordered[ordered.index.isin(turn.sort_values(kind="stable").index[:most])]
    value = pd.to_numeric(found["value"].replace("", "nan"))
    if (found["suggested"] != "").any():
        return found.iloc[np.lexsort((found["image_id"], -value))[:most]]
    ordered = found.iloc[np.lexsort((found["image_id"], value))]
    return ordered.iloc[np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).astype(int))]


def told(finding: Mapping[Any, Any], size: str = "") -> str:
    """What was measured in the image of a finding, or which copy stays; size: of the image, where that is odd."""
    rule, value = finding["rule"], finding["value"]
    if rule in MEASURED:
        return f"{MEASURED[rule]} {float(value):.4g}"
    if finding["suggested"]:
        return f"rather {plain(finding['suggested'], 12)}, margin {float(value):.1f}"
    if finding["cluster"] < 0:
        return size
    if finding["other"] < 0:
        return "has copies"
    if rule == "near_in_features":
        return f"near #{finding['other']}, cosine {float(value):.4f}"
    bits = round(float(value))
    if rule != "near_duplicate" and not bits:
        return f"copy of #{finding['other']}"
    return f"near #{finding['other']}, {bits} bit{'' if bits == 1 else 's'} off"


def place_of(label: str, split: str, most: int = 26) -> str:
    """Label and split of an image in one line."""
    return f"{plain(label or '(no label)', max(4, most - len(split) - 3))} · {split or '(no split)'}"


@styled
def draw_sheet(tiles: Sequence[Tile], rule: str, images: int) -> Figure:
    """A contact sheet of one rule with some of the `images` that it found, a picture each."""
    if not tiles:
        return note_figure(spoken(rule).capitalize(), "There are none: the rule found no image.")
    shown = f"{len(tiles)} of {images:,} images" if images > len(tiles) else _all(images)
    columns = min(COLUMNS, max(len(tiles), 4))
    rows = -(-len(tiles) // columns)
    figure = new_figure(2 * columns, 1.1 + 2.4 * rows, f"{spoken(rule).capitalize()}: {shown}")
    draw_tiles(list(figure.subplots(rows, columns, squeeze=False).flat), tiles)
    add_legend(figure, {tile.state for tile in tiles})
    return figure


def _all(images: int) -> str:
    return f"all {images:,} images" if images > 1 else "1 image"


def draw_tiles(panels: Sequence[Axes], tiles: Sequence[Tile]) -> None:
    """A tile in each of the panels; those left over stay empty."""
    for place, axes in enumerate(panels):
        if place < len(tiles):
            _draw_tile(axes, tiles[place])
        else:
            axes.set_axis_off()


def _draw_tile(axes: Axes, tile: Tile) -> None:
    if isinstance(tile.picture, str):
        why = textwrap.fill(f"no picture: {plain(tile.picture, 60)}", 18)
        axes.text(0.5, 0.5, why, ha="center", va="center", size=7.5)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    else:
        height, width = tile.picture.shape[:2]
        small = max(height, width) <= _NEAREST_PX
        axes.imshow(tile.picture, interpolation="nearest" if small else "antialiased")
        half = max(height, width) / 2  # a square frame, whatever the picture's shape
        x, y = (width - 1) / 2, (height - 1) / 2
        axes.set(xlim=(x - half, x + half), ylim=(y + half, y - half))
    axes.set_facecolor("#e8e8e8")
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=COLOUR_OF[tile.state], linewidth=3)
    axes.set_xlabel("\n".join(line for line in tile.lines if line), size=8)


def add_legend(figure: Figure, states: set[str]) -> None:
    """What the colours of the frames mean."""
    handles = [
        Patch(facecolor="white", edgecolor=colour, linewidth=3, label=state)
        for state, colour in COLOUR_OF.items()
        if state in states
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))


@styled
def draw_reasons_sheet(found: pd.DataFrame, reasons: dict[int, str], most: int = MOST_PICTURES) -> Figure:
    """Images that could not be read, a line each: label, split, path and reason, of `most` at most.

    found: findings of the rule ``unreadable``. reasons: by image_id.
    """
    if not len(found):
        return note_figure("Unreadable", "There are none: every image could be read.")
    rows = found.head(most).to_dict("records")
    shown = f"{len(rows)} of {len(found):,} images" if len(found) > len(rows) else _all(len(found))
    figure = new_figure(12, 0.9 + 0.26 * len(rows), f"Unreadable: {shown}, with the reasons")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set(xlim=(0, 12), ylim=(len(rows) - 0.5, -0.5))
    for y, row in enumerate(rows):
        texts = place_of(row["label"], row["split"], 28), plain(row["path"], 44), reasons.get(row["image_id"], "")
        for x, text in zip((0, 2.6, 6.6), (*texts[:2], plain(texts[2], 58)), strict=True):
            axes.text(x, y, text, va="center", size=9)
    return figure
