"""Pure: train, val and test: drawn by class or by whole groups, and only for rows that have no split yet."""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.names import CLASSIFICATION, SPLITS

Ints = NDArray[np.int64]


def strata(labels: Iterable[str], task: str = CLASSIFICATION) -> list[str]:
    """What every split shall have its share of: each class. Numbers and sets of labels are one stratum."""
    return [label if task == CLASSIFICATION else "" for label in labels]


def draw_splits(
    labels: Sequence[str],
    groups: Sequence[str],
    splits: Sequence[str],
    shares: dict[str, float],
    seed: int,
) -> list[str]:
    """Fill the empty entries of `splits` so that each class comes near its shares of val and test.

    labels, groups, splits: one string a row; an empty group stands alone, an empty split is to be drawn.
    shares: fraction of each class for ``val`` and ``test`` (0 to 1); train takes the rest.
    seed: the same rows, shares and seed give the same splits; rows that have a split keep it, whatever is added.

    Rows of one group always share a split. Every class has a group in train, and each split keeps its share of the rows
    to within a median group, where the sizes of the groups allow it. Without groups, a class of three rows or more has
    one in train and one in every split that has a share.
    """
    rows = pd.DataFrame({"label": list(labels), "group": list(groups), "split": list(splits)}, dtype=object)
    if (rows["group"] == "").all():
        return _draw_by_class(rows, shares, seed)
    alone = "row " + rows.index.astype(str)
    rows["unit"] = np.where(rows["group"] == "", alone, "group " + rows["group"])
    rows["split"] = rows.groupby("unit")["split"].transform("max")  # the split of one row holds for its whole group
    return _draw_by_group(rows, shares, seed)


def _targets(n_rows: int, shares: dict[str, float]) -> dict[str, int]:
    """Rows of a class of `n_rows` wanted in each split; train is never left without one."""
    wanted = {split: max(round(n_rows * share), int(share > 0 and n_rows >= 3)) for split, share in shares.items()}
    while sum(wanted.values()) > max(n_rows - 1, 0):
        wanted[max(wanted, key=lambda split: wanted[split])] -= 1
    return {"train": n_rows - sum(wanted.values()), **wanted}


def _draw_by_class(rows: pd.DataFrame, shares: dict[str, float], seed: int) -> list[str]:
    drawn = rows["split"].to_numpy(dtype=object, copy=True)
    for label, members in rows.groupby("label", sort=True).indices.items():
        rng = np.random.default_rng([seed, zlib.crc32(str(label).encode("utf-8", "surrogateescape"))])
        free = rng.permutation(members[drawn[members] == ""])
        targets = _targets(len(members), shares)
        for split in ("val", "test"):
            missing = max(0, targets[split] - int((drawn[members] == split).sum()))
            drawn[free[:missing]], free = split, free[missing:]
        drawn[free] = "train"
    return list(drawn)


def _draw_by_group(rows: pd.DataFrame, shares: dict[str, float], seed: int) -> list[str]:
    """Strata of groups of about one size, the largest groups first; each goes to a split drawn at random.

    Odds are in proportion to the rows that a split still lacks in the stratum, weighted by the group's classes. So
    every split gets its share of groups of every size and class, by chance.
    """
    rows_UC = pd.crosstab(rows["unit"], rows["label"])
    split_U = rows.groupby("unit")["split"].first().reindex(rows_UC.index).to_numpy(object, copy=True)
    rng = np.random.default_rng([seed, int((split_U != "").sum())])
    draw = _Draw(rows_UC.to_numpy(), split_U, {"train": 1 - sum(shares.values()), **shares})
    free_U = rng.permutation(np.flatnonzero(split_U == ""))
    size_U, largest = draw.rows_UC.sum(1), np.inf
    for unit in free_U[np.argsort(-size_U[free_U], kind="stable")]:
        if 2 * size_U[unit] <= largest:
            largest = size_U[unit]
            draw.begin_stratum()
        split_U[unit] = SPLITS[draw.place(unit, float(rng.random()))]
    return rows["unit"].map(dict(zip(rows_UC.index, split_U, strict=True))).tolist()


class _Draw:
    """The state of a draw: rows in the three splits while U groups, each with rows of C classes, are placed in turn."""

    def __init__(self, rows_UC: Ints, split_U: NDArray[np.object_], shares: dict[str, float]) -> None:
        self.rows_UC = rows_UC
        self._share_S = np.array([shares[split] for split in SPLITS])
        self._have_SC = np.stack([rows_UC[split_U == split].sum(0) for split in SPLITS])
        self._total_C = rows_UC.sum(0)
        self._room_SC = self._share_S[:, None] * self._total_C - self._have_SC
        self._slack = float(np.median(rows_UC.sum(1))) / 2 if len(rows_UC) else 0.0
        free_UC = rows_UC[split_U == ""]
        self._left, self._left_C = len(free_UC), (free_UC > 0).sum(0)

    def begin_stratum(self) -> None:
        """Begin a stratum: from here the odds follow the rows that splits lack now."""
        room_SC = np.maximum(self._room_SC, 0)
        self._aim_SC = room_SC / np.maximum(room_SC.sum(0), 1e-9)
        self._lacks_SC = np.zeros(room_SC.shape)

    def place(self, unit: int, chance: float) -> int:
        """Place a group; return the place of its split in SPLITS. chance: 0 to 1, drawn evenly."""
        unit_C = self.rows_UC[unit]
        self._lacks_SC += self._aim_SC * unit_C
        lacks_S = self._lacks_SC @ (unit_C / self._total_C**2)
        open_S = self._open(unit_C)
        odds_S = np.where(open_S, np.maximum(lacks_S, 0), 0)
        if odds_S.sum() > 0:
            best = int(np.searchsorted(np.cumsum(odds_S) / odds_S.sum(), chance, side="right"))
        else:
            best = int(np.argmax(np.where(open_S, lacks_S, -np.inf)))
        for table_SC, sign in ((self._have_SC, 1), (self._room_SC, -1), (self._lacks_SC, -1)):
            table_SC[best] += sign * unit_C
        self._left, self._left_C = self._left - 1, self._left_C - (unit_C > 0)
        return best

    def _open(self, unit_C: Ints) -> NDArray[np.bool_]:
        """Which splits may take a group.

        Train gets a group of every class, and no split with a share stays empty while groups are left to fill it.
        Otherwise no split grows beyond its share by more than half a median group, unless all would.
        """
        new_to_train_C = (self._have_SC[0] == 0) & (unit_C > 0)
        empty_S = (self._have_SC.sum(1) == 0) & (self._share_S > 0)
        empty_S[0] = new_to_train_C.any()
        missing = int(((self._have_SC[0] == 0) & (self._left_C > 0)).sum()) + int(empty_S[1:].sum())
        if (new_to_train_C & (self._left_C == 1)).any():
            return np.array([True, False, False])
        open_S = empty_S if self._left <= missing and empty_S.any() else self._share_S > 0
        after_S = np.where(open_S, self._room_SC.sum(1) - unit_C.sum(), -np.inf)
        return np.asarray(after_S >= min(-self._slack, float(after_S.max())))
