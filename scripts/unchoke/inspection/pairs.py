"""Near pairs among stored rows, block by block: what a bound of the cosine leaves is compared in float64."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.cleaning.near_duplicates import Components
from unchoke.inspection.neighbours import KNOWN, rows_of, unit_rows
from unchoke.inspection.shortened import Directions, choose_directions, margin_of, unit

SAMPLE = 4096  # rows from which directions are chosen
EXACT = 1e-12
"""How far below the threshold a cosine may lie, since float64 rounds that of equal rows to a little less than 1."""
_STRIPE = 256  # rows whose pairs are listed at once, 2 million at most
_PART = 2048  # rows, or pairs, in float64 at once
_MANY = 2**17  # pairs of two blocks beyond which comparing all of them is quicker
Ints = NDArray[np.int64]
Pairs = tuple[Ints, Ints]


class PairSearch:
    """Links the near pairs among U of the stored rows.

    stored: as of ``neighbours.unit_rows``. place_U: which rows take part, in increasing order. Memory holds at most 513
    numbers of float32 a row, of two blocks all numbers.
    """

    def __init__(self, stored: Any, place_U: Ints, threshold: float, device: torch.device) -> None:
        self._stored, self._place_U, self._threshold, self._device = stored, place_U, threshold, device
        self.components = Components(len(place_U))
        self._short_Uk = self._shortened()
        self._own: tuple[slice, NDArray[np.floating]] | None = None

    def compare(self, rows: slice, columns: slice) -> None:
        """Link the near pairs of two blocks, or of a block with itself."""
        label_B, label_M = self.components.label_U[rows], self.components.label_U[columns]
        if (label_B == label_B[0]).all() and (label_M == label_B[0]).all():
            return
        left = self._left_by_bound(rows, columns)
        if left is None:
            self._compare_all(rows, columns)
        elif len(left[0]):
            other_M, at_P = np.unique(left[1], return_inverse=True)
            self._compare_exactly(rows, left, rows_of(self._stored, self._place_U[other_M]), at_P)

    def _shortened(self) -> torch.Tensor | None:
        """Short rows of all that take part; None where comparing all pairs in full is quicker."""
        count = len(self._place_U)
        if count <= KNOWN:
            return None
        sample_SD = rows_of(self._stored, self._place_U[np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.int64)])
        directions = choose_directions(sample_SD, self._threshold)
        return self._shorten(directions).to(self._device) if directions else None

    def _shorten(self, directions: Directions) -> torch.Tensor:
        short_Uk = torch.empty(len(self._place_U), directions.basis_Dk.shape[1] + 1)
        for start in range(0, len(self._place_U), _PART):
            part = slice(start, start + _PART)
            unit_BD = unit(rows_of(self._stored, self._place_U[part]))
            short_Uk[part] = torch.from_numpy(directions.shorten(unit_BD))
        return short_Uk

    def _left_by_bound(self, rows: slice, columns: slice) -> Pairs | None:
        """The pairs of different components that may be near; None where they are many, or there is no bound."""
        if self._short_Uk is None:
            return None
        least = self._threshold - margin_of(self._short_Uk.shape[1])
        found: list[Pairs] = [(np.empty(0, np.int64),) * 2]
        count = 0
        other_Mk = self._short_Uk[columns]
        for start in range(rows.start, rows.stop, _STRIPE):
            bound_SM = self._short_Uk[start : min(start + _STRIPE, rows.stop)] @ other_Mk.T
            reached = (bound_SM.amax(1) >= least).nonzero()[:, 0]
            if len(reached):
                at_P, other_P = (bound_SM[reached] >= least).nonzero(as_tuple=True)
                found.append(self._apart(reached[at_P] + start, other_P + columns.start))
                count += len(found[-1][0])
            if count > _MANY:
                return None
        return np.concatenate([one_P for one_P, _ in found]), np.concatenate([other_P for _, other_P in found])

    def _compare_all(self, rows: slice, columns: slice) -> None:
        """Link the near pairs of two blocks by their products in float32, and in float64 near the threshold."""
        own_BD = self._read(rows)
        other_MD = own_BD if columns == rows else rows_of(self._stored, self._place_U[columns])
        unit_MD = unit_rows(other_MD, slice(None), self._device)
        margin = margin_of(unit_MD.shape[1])
        for start in range(rows.start, rows.stop, _STRIPE):
            stripe = slice(start - rows.start, start - rows.start + _STRIPE)
            cosine_SM = unit_rows(own_BD, stripe, self._device) @ unit_MD.T
            near = (cosine_SM >= self._threshold + margin).nonzero(as_tuple=True)
            if len(near[0]):
                self.components.link(*self._apart(near[0] + start, near[1] + columns.start))
            doubtful = ((cosine_SM - self._threshold).abs() < margin).nonzero(as_tuple=True)
            if len(doubtful[0]):
                one_P, other_P = self._apart(doubtful[0] + start, doubtful[1] + columns.start)
                self._compare_exactly(rows, (one_P, other_P), other_MD, other_P - columns.start)

    def _compare_exactly(self, rows: slice, pairs: Pairs, other_MD: NDArray[np.floating], at_P: Ints) -> None:
        """Link the near ones of some pairs by their cosines in float64.

        pairs: the first row of each lies in `rows`; the second one is row `at_P` of `other_MD`.
        """
        (one_P, other_P), own_BD = pairs, self._read(rows)
        while len(one_P):
            first = unit(own_BD[one_P[:_PART] - rows.start])
            cosine_P = np.einsum("pd,pd->p", first, unit(other_MD[at_P[:_PART]]))
            near = np.flatnonzero(cosine_P >= self._threshold - EXACT)
            self.components.link(one_P[near], other_P[near])
            one_P, other_P, at_P = one_P[_PART:], other_P[_PART:], at_P[_PART:]
            if len(one_P) and len(near):
                self.components.merge()
                apart_P = self.components.label_U[one_P] != self.components.label_U[other_P]
                one_P, other_P, at_P = one_P[apart_P], other_P[apart_P], at_P[apart_P]

    def _apart(self, one_P: torch.Tensor, other_P: torch.Tensor) -> Pairs:
        """Those of some pairs that are in different components."""
        one, other = one_P.cpu().numpy(), other_P.cpu().numpy()
        apart_P = self.components.label_U[one] != self.components.label_U[other]
        return one[apart_P], other[apart_P]

    def _read(self, rows: slice) -> NDArray[np.floating]:
        """The block of first rows as it is stored, which stays at hand for the next columns."""
        if self._own is None or self._own[0] != rows:
            self._own = rows, rows_of(self._stored, self._place_U[rows])
        return self._own[1]
