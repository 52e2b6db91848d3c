"""Pure: connected regions of a probability map of any height, from bands of its rows; one band is held at a time.

Pixels are connected to their eight neighbours. A region stays open while it reaches the last row of its band. Memory
holds the bounding boxes of open regions besides the band.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Band = tuple[int, NDArray[np.floating]]
"""First row and probabilities (rows, W), 0 to 1; NaN is no text."""
Bands = Iterable[Band]
"""From top to bottom, without a gap."""

MOST_PX = 2**24
"""Of a region's bounding box. A larger one, such as 4,097 × 4,096, is no word, and its pixels are not kept."""
_EIGHT = np.ones((3, 3), bool)


class Piece(NamedTuple):
    """What one band has of a region, in the bounding box of it."""

    y0: int
    x0: int
    mask_HW: NDArray[np.bool_]
    probability_HW: NDArray[np.float32]


@dataclass(frozen=True)
class Component:
    """A connected region and its bounding box, px of the map."""

    y0: int
    x0: int
    y1: int
    x1: int
    pieces: tuple[Piece, ...]
    """None at all of a region that is too large."""

    def pixels(self) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Of the bounding box: which pixels are in the region, and the probabilities.

        A probability is NaN where no piece reaches. A hole of the region is inside its pieces: on each row, the pixels
        to its left and to its right are connected above that row, so that one piece has both.
        """
        mask_HW = np.zeros((self.y1 - self.y0, self.x1 - self.x0), bool)
        probability_HW = np.full(mask_HW.shape, np.nan, np.float32)
        for piece in self.pieces:
            rows, columns = (piece.y0 - self.y0, piece.x0 - self.x0)
            height, width = piece.mask_HW.shape
            mask_HW[rows : rows + height, columns : columns + width] |= piece.mask_HW
            probability_HW[rows : rows + height, columns : columns + width] = piece.probability_HW
        return mask_HW, probability_HW


def components(bands: Bands, binarise: float, most_px: int = MOST_PX) -> Iterator[Component]:
    """Regions with a probability above `binarise`, each as soon as it is whole; their order depends on the bands.

    Raises ValueError where a band does not follow the one before it, or has another width.
    """
    begun: list[Component] = []
    last_W: NDArray[np.int64] | None = None  # on the last row, 1 + the place in `begun`; 0 where there is no region
    row = 0
    for y0, band_HW in bands:
        _refuse_gap(y0, band_HW, row, last_W)
        row += len(band_HW)
        label_HW, count = label(band_HW > binarise, _EIGHT)
        group_G = _groups(last_W, label_HW[0], len(begun), count)
        group_HW = np.concatenate([[0], group_G[len(begun) :] + 1])[label_HW]
        whole = _grown(begun, group_G, _pieces(y0, band_HW, group_HW), most_px)
        open_groups = np.unique(group_HW[-1][group_HW[-1] > 0])
        last_W = np.where(group_HW[-1] > 0, np.searchsorted(open_groups, group_HW[-1]) + 1, 0)
        begun = [whole.pop(int(group) - 1) for group in open_groups]
        yield from whole.values()
    yield from begun


def _refuse_gap(y0: int, band_HW: NDArray[np.floating], row: int, last_W: NDArray[np.int64] | None) -> None:
    width = band_HW.shape[1] if last_W is None else len(last_W)
    if band_HW.ndim != 2 or not band_HW.size or y0 != row or band_HW.shape[1] != width:
        raise ValueError(f"a band of shape {band_HW.shape} at row {y0}, expected one of width {width} at row {row}")


def _groups(
    last_W: NDArray[np.int64] | None, first_W: NDArray[np.integer], n_begun: int, n_labels: int
) -> NDArray[np.int64]:
    """Number of the group, from 0, of each begun region and then of each label of the band.

    A group is what is one region, since pixels of the last row touch pixels of the first one.
    """
    size = n_begun + n_labels
    one, other = np.zeros((2, 0), np.int64)
    if last_W is not None:
        above_3W = np.stack([np.pad(last_W, 1)[shift : shift + len(last_W)] for shift in range(3)])
        touching = (above_3W > 0) & (first_W > 0)
        one = above_3W[touching] - 1
        other = np.broadcast_to(first_W, above_3W.shape)[touching].astype(np.int64) - 1 + n_begun
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64) if size else np.zeros(0, np.int64)


def _pieces(y0: int, band_HW: NDArray[np.floating], group_HW: NDArray[np.int64]) -> dict[int, Piece]:
    """By group what the band has of it; copies, so that the band can be let go."""
    windows = enumerate(find_objects(group_HW))
    return {
        group: Piece(
            y0 + window[0].start,
            window[1].start,
            group_HW[window] == group + 1,
            np.array(band_HW[window], np.float32),
        )
        for group, window in windows
        if window is not None
    }


def _grown(
    begun: Sequence[Component], group_G: NDArray[np.int64], pieces: dict[int, Piece], most_px: int
) -> dict[int, Component]:
    """By group the region that it now is."""
    parts: dict[int, list[Component]] = {}
    for component, group in zip(begun, group_G[: len(begun)].tolist(), strict=True):
        parts.setdefault(group, []).append(component)
    for group, piece in pieces.items():
        height, width = piece.mask_HW.shape
        found = Component(piece.y0, piece.x0, piece.y0 + height, piece.x0 + width, (piece,))
        parts.setdefault(group, []).append(found)
    return {group: _united(found, most_px) for group, found in parts.items()}


def _united(parts: Sequence[Component], most_px: int) -> Component:
    y0, x0 = min(part.y0 for part in parts), min(part.x0 for part in parts)
    y1, x1 = max(part.y1 for part in parts), max(part.x1 for part in parts)
    too_large = (y1 - y0) * (x1 - x0) > most_px
    return Component(y0, x0, y1, x1, () if too_large else tuple(piece for part in parts for piece in part.pieces))
