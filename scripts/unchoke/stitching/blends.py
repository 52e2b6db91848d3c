"""Pure: the two ways of making one answer of patches that overlap, in one band of rows of an image."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unchoke.images.grid import Grid

Window = tuple[slice, slice]
"""Rows and columns."""
NOT_KEPT = "a band was asked for probabilities, but made without keep_probabilities"


class Part(NamedTuple):
    """What of a patch lies in a band."""

    row: int
    """The patch's row among the patches."""
    source: Window
    """In the patch."""
    window: Window
    """In the band."""
    kept_source: Window
    """What the patch alone answers for when halos are cropped, in an array cut to `source`."""
    kept_window: Window
    """The same in the band."""


class Cropped:
    """Keeps of each patch the part that no other covers, so nothing is summed."""

    def __init__(self, shape_KHW: tuple[int, int, int], keep_probabilities: bool) -> None:
        self._label_HW = np.empty(shape_KHW[1:], np.uint8)
        self._probability_KHW = np.empty(shape_KHW, np.float16) if keep_probabilities else None

    def add(self, part: Part, probability_KHW: NDArray[np.float32], label_HW: NDArray[np.uint8]) -> None:
        self._label_HW[part.kept_window] = label_HW[part.kept_source]
        if self._probability_KHW is not None:
            self._probability_KHW[:, *part.kept_window] = probability_KHW[:, *part.kept_source]

    def labels(self) -> NDArray[np.uint8]:
        return self._label_HW

    def probabilities(self) -> NDArray[np.float16]:
        if self._probability_KHW is None:
            raise ValueError(NOT_KEPT)
        return self._probability_KHW


class Weighted:
    """Sums of weight × probability, those of each row of patches apart.

    Labels need only the margins by which the other classes are likelier than the first: with two classes one sum.
    The first class's own sum is kept where probabilities are; all others follow from it.
    """

    def __init__(
        self, grid: Grid, shape_KHW: tuple[int, int, int], keep_probabilities: bool, y0: int, covered_px: dict[int, int]
    ) -> None:
        """y0: the band's first row. covered_px: height of the band that each row of patches covers."""
        self._grid, self._y0, self._shape_KHW = grid, y0, shape_KHW
        self._own = int(keep_probabilities)  # places of the first class's own sum, before the margins
        self._weight_SS = gaussian_weights(grid.size)
        self._scratch_SS = np.empty_like(self._weight_SS)  # a fresh one for every product would cost as much as it
        planes = shape_KHW[0] - 1 + self._own
        self._sums = {row: np.zeros((planes, height, grid.width), np.float32) for row, height in covered_px.items()}

    def add(self, part: Part, probability_KHW: NDArray[np.float32], label_HW: NDArray[np.uint8]) -> None:
        weight_HW, scratch_HW = self._weight_SS[part.source], self._scratch_SS[part.source]
        first_HW, sum_PHW = probability_KHW[0], self._sums[part.row][:, *part.window]
        for sum_HW, probability_HW in zip(sum_PHW[self._own :], probability_KHW[1:], strict=True):
            np.subtract(probability_HW, first_HW, out=scratch_HW)
            np.multiply(scratch_HW, weight_HW, out=scratch_HW)
            np.add(sum_HW, scratch_HW, out=sum_HW)
        if self._own:
            sum_PHW[0] += np.multiply(first_HW, weight_HW, out=scratch_HW)

    def _total(self) -> NDArray[np.float32]:
        """The sums as one: those of the upper row of patches go into those of the lower one."""
        *above, lowest = sorted(self._sums)
        for row in above:
            sum_PHW = self._sums.pop(row)
            self._sums[lowest][:, : sum_PHW.shape[1]] += sum_PHW
        return self._sums[lowest]

    def labels(self) -> NDArray[np.uint8]:
        return likeliest(np.float32(0), self._total()[self._own :])  # a pixel's weights are the same for all classes

    def probabilities(self) -> NDArray[np.float16]:
        if not self._own:
            raise ValueError(NOT_KEPT)
        (first_HW, *margins), weight_HW = self._total(), self._summed_weights()
        probability_KHW = np.empty(self._shape_KHW, np.float16)
        np.divide(first_HW, weight_HW, out=probability_KHW[0], casting="same_kind")
        for probability_HW, margin_HW in zip(probability_KHW[1:], margins, strict=True):
            np.divide(margin_HW + first_HW, weight_HW, out=probability_HW, casting="same_kind")
        return probability_KHW

    def _summed_weights(self) -> NDArray[np.float32]:
        """(H, W); a pixel's is the product of its row's and its column's."""
        row_H = _summed_weights(self._grid.rows, self._grid)[self._y0 :][: self._shape_KHW[1]]
        column_W = _summed_weights(self._grid.columns, self._grid)[: self._grid.width]
        return np.outer(row_H, column_W).astype(np.float32)


def gaussian_weights(size: int) -> NDArray[np.float32]:
    """How much each pixel of a patch counts: float32 (size, size), 1 in the middle, above 1e-7 in the corners.

    A Gaussian whose standard deviation is an eighth of the side, as in nnU-Net (Isensee et al. 2021, Nature Methods 18,
    203) and in MONAI, which raises the tails to 1e-3: a corner without neighbours only needs more than 0.
    """
    weight_S = _weights(size)
    return np.outer(weight_S, weight_S).astype(np.float32)


def _weights(size: int) -> NDArray[np.float64]:
    """The Gaussian along one side."""
    distance_S = (np.arange(size) - (size - 1) / 2) / (size / 8)
    weight_S = np.exp(-(distance_S**2) / 2)
    return np.asarray(weight_S / weight_S.max())


def _summed_weights(patches: int, grid: Grid) -> NDArray[np.float64]:
    """Sum of the weights along one side of the image."""
    sum_L = np.zeros((patches - 1) * grid.step + grid.size)
    for first in range(0, patches * grid.step, grid.step):
        sum_L[first : first + grid.size] += _weights(grid.size)
    return sum_L


def likeliest(first_HW: NDArray[np.float32] | np.float32, others_KHW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The class of the highest value of each pixel, the earliest of equals: uint8 (H, W).

    first_HW: the value of class 0; others_KHW: those of class 1 and on. ``argmax`` along K takes many times as long.
    """
    label_HW, highest_HW = np.zeros(others_KHW.shape[1:], np.uint8), first_HW
    for place, value_HW in enumerate(others_KHW, start=1):
        above_HW = value_HW > highest_HW
        np.maximum(label_HW, above_HW.view(np.uint8) * np.uint8(place), out=label_HW)
        if place < len(others_KHW):
            highest_HW = np.maximum(highest_HW, value_HW)
    return label_HW
