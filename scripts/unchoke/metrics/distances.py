"""Pure: how far the outlines of predicted masks lie from the true ones: the 95th percentile of Hausdorff's distance,
px.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from unchoke.errors import UnchokeError
from unchoke.names import IGNORED

MOST_PIXELS = 2**26
"""Of an image, 8,192 × 8,192: two masks and their surfaces take about 5 B a pixel."""
MOST_POINTS = 2**22
"""Of a surface: its points and their tree take about 100 B each."""
PERCENTILE = 95


def hd95(
    truth_HW: NDArray[np.uint8], predicted_HW: NDArray[np.uint8], n_classes: int, name: str
) -> NDArray[np.float64]:
    """HD95 of each class in an image, px, float64 (K,); NaN where truth or prediction lacks the class.

    It is the larger of two 95th percentiles: of the distances from the true surface to the nearest point of the
    predicted one, and back (Huttenlocher et al. 1993; MONAI's ``HausdorffDistanceMetric(percentile=95)``; medpy's hd95
    takes one percentile of both together). A surface is the mask less its erosion by a cross; pixels at the border of
    the image are part of it. Pixels that are IGNORED in either are of no class.
    name: of the image, for errors. Raises UnchokeError where the image or a surface is too large for memory.
    """
    refuse_large(truth_HW.size, name)
    known_HW = (truth_HW != IGNORED) & (predicted_HW != IGNORED)
    return np.array(
        [
            _between(surface((truth_HW == place) & known_HW), surface((predicted_HW == place) & known_HW), name)
            for place in range(n_classes)
        ]
    )


def refuse_large(pixels: int, name: str) -> None:
    """UnchokeError where an image has more than ``MOST_PIXELS``."""
    _refuse(pixels, MOST_PIXELS, "pixels", name)


def surface(mask_HW: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places (N, 2) of a mask's pixels that erosion by a cross takes away."""
    return np.argwhere(mask_HW & ~binary_erosion(mask_HW))


def _between(one_N2: NDArray[np.int64], other_M2: NDArray[np.int64], name: str) -> float:
    if not len(one_N2) or not len(other_M2):
        return float("nan")
    _refuse(max(len(one_N2), len(other_M2)), MOST_POINTS, "points of an outline", name)
    there_N, back_M = cKDTree(other_M2).query(one_N2)[0], cKDTree(one_N2).query(other_M2)[0]
    return float(max(np.percentile(there_N, PERCENTILE), np.percentile(back_M, PERCENTILE)))


def _refuse(found: int, most: int, what: str, name: str) -> None:
    if found > most:
        raise UnchokeError(
            "An image is too large for HD95, which holds whole masks in memory.",
            found=f"{found:,} {what}",
            expected=f"at most {most:,}",
            where=name,
            do="set evaluation.hd95 to false; the stitched masks are kept",
        )
