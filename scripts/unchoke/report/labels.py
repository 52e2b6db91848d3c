"""Labels on a map that do not hide each other."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text
from numpy.typing import NDArray

from unchoke.report.fonts import missing_letters

_TURNS = 200
_GAP = 2.0  # dots between two labels


def part_labels(axes: Axes, texts: list[Text]) -> None:
    """Move the texts, whose places are data, until none lies over another; a line leads to where each belongs."""
    if len(texts) < 2:
        return
    with missing_letters():
        axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    boxes = [(text.get_bbox_patch() or text).get_window_extent() for text in texts]
    extents_N4 = np.array([(box.x0, box.y0, box.x1, box.y1) for box in boxes])
    shift_N2 = parted(extents_N4)
    for text, shift_2 in zip(texts, shift_N2, strict=True):
        if np.abs(shift_2).max() < 0.5:
            continue
        home = text.get_position()
        place = axes.transData.inverted().transform(axes.transData.transform(home) + shift_2)
        text.set_position((float(place[0]), float(place[1])))
        axes.plot([home[0], place[0]], [home[1], place[1]], color=text.get_color(), linewidth=1, zorder=2.5)


def parted(extents_N4: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far to move each of N boxes (x0, y0, x1, y1), (N, 2), so that none overlaps another.

    Two that overlap move apart by the same length, in the direction that needs less.
    """
    start_N4 = extents_N4.astype(np.float64)
    boxes_N4 = start_N4.copy()
    for _ in range(_TURNS):
        moved = False
        for first in range(len(boxes_N4)):
            for second in range(first + 1, len(boxes_N4)):
                step_2 = _apart(boxes_N4[first], boxes_N4[second])
                boxes_N4[first] -= np.tile(step_2, 2)
                boxes_N4[second] += np.tile(step_2, 2)
                moved |= bool(step_2.any())
        if not moved:
            break
    return np.asarray((boxes_N4 - start_N4)[:, :2])


def _apart(one_4: NDArray[np.float64], other_4: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half of what parts two boxes: how the other moves; zeros where they do not overlap."""
    overlap_2 = np.minimum(one_4[2:], other_4[2:]) - np.maximum(one_4[:2], other_4[:2])
    if (overlap_2 <= 0).any():
        return np.zeros(2)
    axis = int(overlap_2.argmin())
    ahead = one_4[axis] + one_4[axis + 2] <= other_4[axis] + other_4[axis + 2]
    step_2 = np.zeros(2)
    step_2[axis] = (1 if ahead else -1) * (overlap_2[axis] + _GAP) / 2
    return step_2
