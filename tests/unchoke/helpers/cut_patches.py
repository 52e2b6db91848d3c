"""Patches cut from a whole picture in memory, which the library never does."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unchoke.images.grid import Grid
from unchoke.images.windows import reflected


def cut_patch(image_HWx: NDArray[Any], grid: Grid, place: int) -> NDArray[Any]:
    """A copy of patch `place` of an image, (size, size, …) of its dtype, reflected beyond the border.

    image_HWx: height and width as the grid's, then any axes.
    """
    y0, x0, _, _ = grid.patch(place)
    rows_S = reflected(y0, y0 + grid.size, grid.height)
    columns_S = reflected(x0, x0 + grid.size, grid.width)
    return image_HWx[np.ix_(rows_S, columns_S)]
