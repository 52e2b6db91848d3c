"""Pure: how an image is cut into patches, and its mask into bands, on a grid that depends on height and width alone.

The offsets of the patches lie on multiples of the step, so on multiples of an encoder's stride too. The last patch of a
row reaches over the border, where the image is reflected; it is never shifted back, since a patch off the grid would
see the encoder's own grid of features elsewhere.

A band of the mask is as high as the step, so that two rows of patches reach into it at most. The Snakefile reads this
module, which therefore imports no numpy.
"""

from dataclasses import dataclass
from typing import NamedTuple


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

    @property
    def band_count(self) -> int:
        """Bands of the mask; each begins where a row of patches does, or would."""
        return -(-self.height // self.step)

    def band_rows(self, band: int) -> tuple[int, int]:
        """First row of `band` in the image, and the row behind its last one, px."""
        return band * self.step, min((band + 1) * self.step, self.height)

    def rows_at(self, band: int) -> range:
        """Rows of patches beside `band`: the one above, which reaches into it by the overlap, and its own."""
        return range(max(band - 1, 0), min(band + 1, self.rows))

    def covered_px(self, band: int) -> dict[int, int]:
        """Height of `band` that each row of patches covers, px: the row above the overlap, its own row all of it."""
        first, stop = self.band_rows(band)
        height = stop - first
        covered_px = {row: height if row == band else min(self.overlap, height) for row in self.rows_at(band)}
        return {row: covered for row, covered in covered_px.items() if covered}

    def band_places(self, band: int) -> list[int]:
        """Numbers of the patches that reach into `band`, in order."""
        return [place for row in self.covered_px(band) for place in self.row(row)]
