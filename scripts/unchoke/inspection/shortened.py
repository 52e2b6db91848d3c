"""Pure: an upper bound of cosines from few numbers a row, so that most pairs need not be compared in full.

A unit row a has coordinates p_a along k orthonormal directions, and beside them a rest of length r_a. By Cauchy and
Schwarz a·b <= p_a·p_b + r_a r_b. The right side is the product of the shortened rows (p, r) of k + 1 numbers. The
directions are principal ones, about the origin, of a sample: these leave the shortest rests.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WIDTHS = (32, 64, 128, 256, 512)
"""Directions that are tried."""
_PAIR = 512  # pairs whose products take as long as reading and comparing one pair by itself

Floats = NDArray[np.float64]


class Directions(NamedTuple):
    """Orthonormal columns, float64 (D, k)."""

    basis_Dk: Floats

    def shorten(self, unit_BD: Floats) -> NDArray[np.float32]:
        """Rows (p, r), float32 (B, k + 1), of rows of length 1 or 0; zeros for a row with a number that is not finite.

        Their products exceed the cosine, less ``margin_of(k + 1)``.
        """
        unit_BD = np.where(np.isfinite(unit_BD).all(1, keepdims=True), unit_BD, 0)
        short_Bk = unit_BD @ self.basis_Dk
        rest_B = np.sqrt(np.maximum((unit_BD**2).sum(1) - (short_Bk**2).sum(1), 0))
        return np.column_stack([short_Bk, rest_B]).astype(np.float32)


def margin_of(width: int) -> float:
    """Most that a product of rows of length 1 is off in float32, with the rounding of the rows and of their lengths.

    The sum of `width` products is off by width · 2⁻²⁴ at most, in whatever order (Higham 2002, "Accuracy and Stability
    of Numerical Algorithms", section 3.1); the two lengths by half as much each.
    """
    return (width + 8) * 2.0**-23


def unit(x_BD: NDArray[np.floating]) -> Floats:
    """Rows of length 1, float64 (B, D); rows of zeros stay so."""
    wide_BD = x_BD.astype(np.float64)
    length_B1 = np.linalg.norm(wide_BD, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # infinite numbers give NaN, and so a cosine that reaches no threshold
        return np.asarray(wide_BD / np.where(length_B1 > 0, length_B1, 1))


def choose_directions(sample_SD: NDArray[np.floating], threshold: float) -> Directions | None:
    """As many directions as make the search quickest; None where comparing all pairs in full is quicker.

    Every second row of the sample gives the directions. The others tell how many pairs the bound leaves at each width:
    an estimate of what the search costs, and of nothing that it finds.
    """
    unit_SD = unit(sample_SD)
    unit_SD = unit_SD[np.isfinite(unit_SD).all(1)]
    known_SD, asked_TD = unit_SD[::2], unit_SD[1::2]
    far_TT, width = asked_TD @ asked_TD.T < threshold, unit_SD.shape[1]
    basis_DD = np.linalg.eigh(known_SD.T @ known_SD)[1][:, ::-1]
    costs = {0: float(width)}
    for k in (k for k in WIDTHS if 2 * k <= width):
        short_Tk = Directions(basis_DD[:, :k]).shorten(asked_TD)
        left_TT = far_TT & (short_Tk @ short_Tk.T >= threshold - margin_of(k + 1))
        costs[k] = k + width * min(1.0, _PAIR * float(left_TT.mean()))
    best = min(costs, key=lambda k: costs[k])
    return Directions(np.ascontiguousarray(basis_DD[:, :best])) if best else None
