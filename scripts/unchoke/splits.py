"""Train, val and test: drawn by class or by whole groups, and only for rows that have no split yet."""

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from unchoke.names import SPLITS


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

    Rows of one group always share a split. Without groups, a class of three rows or more has one in train and one in
    every split that has a share.
    """
    rows = pd.DataFrame({"label": list(labels), "group": list(groups), "split": list(splits)}, dtype=object)
    if (rows["group"] == "").all():
        return _draw_by_class(rows, shares, seed)
    alone = "row " + rows.index.astype(str)
    rows["unit"] = np.where(rows["group"] == "", alone, "group " + rows["group"])
    rows["split"] = rows.groupby("unit")["split"].transform("max")  # a split that one row has holds for its group
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
    """Largest groups first, each to the split whose classes it brings nearest to their targets."""
    rows_UC = pd.crosstab(rows["unit"], rows["label"])
    split_U = rows.groupby("unit")["split"].first().reindex(rows_UC.index)
    total_C = rows_UC.sum().to_numpy()
    targets_SC = np.array([[_targets(int(total), shares)[split] for total in total_C] for split in SPLITS])
    have_SC = np.stack([rows_UC[split_U == split].sum().to_numpy() for split in SPLITS])
    free_UC = rows_UC[split_U == ""]
    free_UC = free_UC.iloc[np.random.default_rng(seed).permutation(len(free_UC))]
    for unit in free_UC.index[np.argsort(-free_UC.sum(axis=1).to_numpy(), kind="stable")]:
        unit_C = rows_UC.loc[unit].to_numpy()
        # Only the gap of the split that takes the unit changes, so that change alone is compared.
        gap_SC = (have_SC - targets_SC) / total_C
        best = int(np.argmin(((gap_SC + unit_C / total_C) ** 2 - gap_SC**2).sum(axis=1)))
        have_SC[best] += unit_C
        split_U[unit] = SPLITS[best]
    return rows["unit"].map(split_U).tolist()
