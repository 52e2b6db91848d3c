"""Rows of arrays without stored bytes: libraries give fill values for them, without a word."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unchoke.errors import UnchokeError
from unchoke.sources.arrays.array import Rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEVER_WRITTEN = "it was never written"


class NotStoredError(Exception):
    """A row that was asked for has no stored bytes; says why."""


class Gaps:
    """Which rows of an array are not stored, each with the reason that was found first."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._reasons: list[str] = []
        self._code_N: NDArray[np.int32] | None = None  # 0 for a stored row, else the number of its reason, from 1

    def add(self, rows: "slice | NDArray[np.int64]", reason: str) -> None:
        """Mark rows that are not marked yet."""
        import numpy as np

        if self._code_N is None:
            self._code_N = np.zeros(self.rows, np.int32)
        if not self._reasons or self._reasons[-1] != reason:
            self._reasons.append(reason)
        codes = self._code_N[rows]
        self._code_N[rows] = np.where(codes == 0, len(self._reasons), codes)

    def reason(self, rows: slice) -> str:
        """Why the first of these rows that is not stored is not; empty where all are."""
        if self._code_N is None:
            return ""
        codes = self._code_N[rows]
        return self._reasons[codes[codes > 0][0] - 1] if codes.any() else ""

    def by_reason(self) -> "dict[str, NDArray[np.int64]]":
        """The rows that are not stored, by their reasons."""
        import numpy as np

        if self._code_N is None:
            return {}
        return {
            reason: found
            for code, reason in enumerate(self._reasons, 1)
            if len(found := np.flatnonzero(self._code_N == code))
        }

    @property
    def count(self) -> int:
        """How many rows are not stored."""
        return 0 if self._code_N is None else int((self._code_N != 0).sum())


@dataclass(frozen=True)
class StoredRows:
    """An array that reads only stored rows."""

    array: Rows
    gaps: Gaps
    refers_to: tuple[str, ...] = field(default=())
    """Other files that it may be read from, below the dataset's folder."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return self.array.shape

    @property
    def dtype(self) -> Any:
        """NumPy's name of its numbers."""
        return self.array.dtype

    def __getitem__(self, rows: slice) -> Any:
        """The rows of a slice; NotStoredError where one of them is not stored."""
        if reason := self.gaps.reason(rows):
            raise NotStoredError(reason)
        return self.array[rows]


def refers_to(array: Rows) -> tuple[str, ...]:
    """Other files that an array may be read from, below the dataset's folder."""
    return array.refers_to if isinstance(array, StoredRows) else ()


def check_stored(array: Rows, what: str, where: str, *, every: bool) -> None:
    """UnchokeError where no row of an array is stored, or, with `every`, where one is not."""
    gaps = array.gaps if isinstance(array, StoredRows) else Gaps(0)
    if gaps.count and (every or gaps.count == gaps.rows):
        reason, rows = next(iter(gaps.by_reason().items()))
        raise UnchokeError(
            f"Rows of the {what} are not stored: their values would be made up.",
            found=f"{gaps.count:,} of {gaps.rows:,} rows; row {rows[0]}: {reason}",
            expected="stored values",
            where=where,
            do="bring back the file that is missing, or write the array again to its end",
        )
