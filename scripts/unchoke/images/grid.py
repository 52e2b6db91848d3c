"""Pure: how an image is cut into patches of one size, on a grid that depends on its height and width alone.

The offsets of the patches lie on multiples of the step, so on multiples of an encoder's stride too. The last patch of a
row reaches over the border, where the image is reflected; it is never shifted back, since a patch off the grid would
see the encoder's own grid of features elsewhere.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Patch(NamedTuple):
    """Where a patch lies in its image, px."""

    y0: int
    x0: int
    height: int
    """Rows that lie inside the image; what is below them is reflected."""
    width: int
    """Columns that lie inside the image."""


@dataclass(frozen=True)
class Grid:
    """The patches of one image, numbered row by row from 0.

    height, width: the image's, px. size: side of a patch, px. overlap: what neighbours share, px, at most half of size.
    """

    height: int
    width: int
    size: int
    overlap: int

    @property
    def step(self) -> int:
        """From one patch to the next, px."""
        return self.size - self.overlap

    @property
    def halo(self) -> int:
        """What a patch leaves to each neighbour, px."""
        return self.overlap // 2

    @property
    def rows(self) -> int:
        return self._along(self.height)

    @property
    def columns(self) -> int:
        return self._along(self.width)

    def _along(self, length: int) -> int:
        """Patches that cover `length` px, at least one."""
        return max(1, -(-(length - self.overlap) // self.step))

    @property
    def count(self) -> int:
        return self.rows * self.columns

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the image reflected as far as its patches reach, px."""
        return self.rows * self.step + self.overlap, self.columns * self.step + self.overlap

    def patch(self, place: int) -> Patch:
        """The patch of number `place`."""
        row, column = divmod(place, self.columns)
        y0, x0 = row * self.step, column * self.step
        return Patch(y0, x0, min(self.size, self.height - y0), min(self.size, self.width - x0))

    def row(self, row: int) -> range:
        """Numbers of the patches of a row, from left to right."""
        return range(row * self.columns, (row + 1) * self.columns)


def reflected(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Where positions `start` to `stop` (excluded) of an axis of `length` px take their values: each 0 to length - 1.

    As ``numpy.pad(mode="reflect")`` has it: to and fro, the border pixel not doubled; a single pixel is repeated.
    """
    last = length - 1
    if last == 0:
        return np.zeros(stop - start, np.intp)
    return last - np.abs(np.arange(start, stop, dtype=np.intp) % (2 * last) - last)
