"""Pure: from the probabilities of patches to the mask of their image, a band of rows at a time.

Of a mask one band is held in memory; see ``images.grid``.
Two blends: ``crop`` keeps of each patch what is not its halo, which is right where no pixel's answer depends on more
than the halo around it; ``gaussian`` averages the probabilities where patches overlap, their middles counting most.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.images.grid import Grid
from unchoke.names import IGNORED
from unchoke.stitching.blends import Cropped, Part, Weighted, Window, likeliest


def kept(grid: Grid, place: int) -> Window:
    """Rows and columns of the image that patch `place` alone answers for when halos are cropped.

    Each side of an overlap gets half of it; at the image's own border a patch keeps everything.
    """
    row, column = divmod(place, grid.columns)
    return _kept(row, grid.rows, grid.height, grid), _kept(column, grid.columns, grid.width, grid)


def _kept(number: int, count: int, length: int, grid: Grid) -> slice:
    first = number * grid.step + grid.halo if number else 0
    return slice(first, length if number == count - 1 else (number + 1) * grid.step + grid.halo)


class Band:
    """The answer for one band of an image, from the probabilities of its patches.

    The patches may come in any order, the answer has the same bits: the two rows of patches are summed apart, so that
    no sum has more than two terms at a pixel, and then the upper row's is added to the lower one's.
    """

    def __init__(self, grid: Grid, n_classes: int, band: int, blend: str, *, keep_probabilities: bool = False) -> None:
        """n_classes: at most 254. blend: crop or gaussian. keep_probabilities: whether to hold them too."""
        self.places = frozenset(grid.band_places(band))
        self._grid, self._band, self._missing = grid, band, set(self.places)
        first, stop = grid.band_rows(band)
        shape = n_classes, stop - first, grid.width
        self._lowest_HW = np.full(shape[1:], IGNORED, np.uint8)  # of the classes that patches name
        self._highest_HW = np.zeros(shape[1:], np.uint8)
        self._blend: Cropped | Weighted
        if blend == "crop":
            self._blend = Cropped(shape, keep_probabilities)
        else:
            self._blend = Weighted(grid, shape, keep_probabilities, first, grid.covered_px(band))

    def add(self, place: int, probability_KSS: NDArray[np.floating]) -> None:
        """Add the part of patch `place` inside the band; KeyError unless each of ``places`` is added once.

        probability_KSS: float16 or float32 (n_classes, size, size).
        """
        self._missing.remove(place)
        part = self._part(place)
        probability_KHW = probability_KSS[:, *part.source].astype(np.float32, copy=False)
        label_HW = likeliest(probability_KHW[0], probability_KHW[1:])
        self._compare(part, label_HW)
        self._blend.add(part, probability_KHW, label_HW)

    def leave_out(self, place: int) -> None:
        """Leave out the unreadable patch `place`; pixels that only it covers stay undefined."""
        self._missing.remove(place)

    def _part(self, place: int) -> Part:
        patch, (first, stop) = self._grid.patch(place), self._grid.band_rows(self._band)
        inside = slice(patch.y0, patch.y0 + patch.height), slice(patch.x0, patch.x0 + patch.width)
        mine, inside = (_clipped(window, first, stop) for window in (kept(self._grid, place), inside))
        return Part(
            row=place // self._grid.columns,
            source=_counted_from(patch.y0, patch.x0, inside),
            window=_counted_from(first, 0, inside),
            kept_source=_counted_from(inside[0].start, inside[1].start, mine),
            kept_window=_counted_from(first, 0, mine),
        )

    def _compare(self, part: Part, label_HW: NDArray[np.uint8]) -> None:
        for band_HW, bound in ((self._lowest_HW, np.minimum), (self._highest_HW, np.maximum)):
            bound(band_HW[part.window], label_HW, out=band_HW[part.window])

    def labels(self) -> NDArray[np.uint8]:
        """The likeliest class of every pixel, the first of equals: uint8 (rows, width).

        Raises UnchokeError where a patch of the band was not added.
        """
        self._refuse_gaps()
        return self._blend.labels()

    def probabilities(self) -> NDArray[np.float16]:
        """float16 (n_classes, rows, width); ValueError where they were not kept.

        Raises UnchokeError where a patch of the band was not added.
        """
        self._refuse_gaps()
        return self._blend.probabilities()

    def disagreement(self) -> tuple[int, int]:
        """Pixels of the band for which patches name different classes, and pixels that have two patches or more.

        Raises UnchokeError where a patch of the band was not added.
        """
        self._refuse_gaps()
        rows, width = self._lowest_HW.shape
        rows_once = 2 * rows - sum(self._grid.covered_px(self._band).values())
        columns_once = width - (self._grid.columns - 1) * self._grid.overlap
        return int(np.count_nonzero(self._lowest_HW < self._highest_HW)), rows * width - rows_once * columns_once

    def _refuse_gaps(self) -> None:
        if not self._missing:
            return
        rows, columns = self._part(min(self._missing)).window
        y0, x0 = self._grid.band_rows(self._band)[0] + rows.start, columns.start
        raise UnchokeError(
            "A mask cannot be stitched, for want of patches.",
            found=f"{len(self.places) - len(self._missing)} patches, without number {min(self._missing)} of the image",
            expected=f"{len(self.places)} patches",
            where=f"row {y0}, column {x0} of the image is the first pixel without that patch",
            do="give the probabilities of every patch of the band",
        )


def known_probabilities(probability_KHW: NDArray[np.float16], unread_HW: NDArray[np.bool_]) -> NDArray[np.float16]:
    """Probabilities of a band without unreadable patches: NaN where no patch was read, else scaled to a sum of 1."""
    if not unread_HW.any():
        return probability_KHW
    known_KHW = np.where(unread_HW, np.float16(np.nan), probability_KHW)
    return np.asarray((known_KHW / known_KHW.sum(0, dtype=np.float32)).astype(np.float16))


def _clipped(window: Window, first: int, stop: int) -> Window:
    """What of a window of the image lies in rows `first` to `stop`."""
    return slice(max(window[0].start, first), min(window[0].stop, stop)), window[1]


def _counted_from(y0: int, x0: int, window: Window) -> Window:
    """The same window, its rows counted from y0 and its columns from x0."""
    rows, columns = window
    return slice(rows.start - y0, rows.stop - y0), slice(columns.start - x0, columns.stop - x0)


def stitch_rows(
    rows: Iterable[Sequence[NDArray[np.floating]]], grid: Grid, n_classes: int, blend: str
) -> Iterator[NDArray[np.uint8]]:
    """The labels of an image, uint8 (rows, width) a band; see ``whole_bands``."""
    for band in whole_bands(rows, grid, n_classes, blend):
        yield band.labels()


def whole_bands(
    rows: Iterable[Sequence[NDArray[np.floating]]],
    grid: Grid,
    n_classes: int,
    blend: str,
    *,
    keep_probabilities: bool = False,
) -> Iterator[Band]:
    """The bands of an image, each as soon as its patches are there; two bands are held.

    rows: for each row of patches in turn the probabilities of all of them, float16 or float32 (n_classes, size, size).
    """
    bands = [Band(grid, n_classes, 0, blend, keep_probabilities=keep_probabilities)]
    for row, patches in zip(range(grid.rows), rows, strict=True):
        if row + 1 < grid.band_count:
            bands.append(Band(grid, n_classes, row + 1, blend, keep_probabilities=keep_probabilities))
        for place, probability_KSS in zip(grid.row(row), patches, strict=True):
            for band in bands:
                if place in band.places:
                    band.add(place, probability_KSS)
        yield bands.pop(0)
    yield from bands
