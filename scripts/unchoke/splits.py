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

    Rows of one group always share a split. With as many as three rows, a class has one in every split that has a share.
    """
    rows = pd.DataFrame({"label": list(labels), "group": list(groups), "split": list(splits)}, dtype=object)
    if (rows["group"] == "").all():
        return _draw_by_class(rows, shares, seed)
    alone = "row " + rows.index.astype(str)
    rows["unit"] = np.where(rows["group"] == "", alone, "group " + rows["group"])
    rows["split"] = rows.groupby("unit")["split"].transform("max")  # a split that one row has holds for its group
    return _draw_by_group(rows, shares, seed)


def _targets(counts: pd.Series, shares: dict[str, float]) -> pd.DataFrame:
    """Rows wanted in each split (columns) of each class (index), given the rows of each class in all."""
    targets = pd.DataFrame(index=counts.index)
    for split in ("val", "test"):
        wanted = (counts * shares[split]).round().astype(int)
        targets[split] = np.where((wanted == 0) & (counts >= 3) & (shares[split] > 0), 1, wanted)
    targets.insert(0, "train", counts - targets["val"] - targets["test"])
    return targets


def _draw_by_class(rows: pd.DataFrame, shares: dict[str, float], seed: int) -> list[str]:
    drawn = rows["split"].to_numpy(dtype=object, copy=True)
    targets = _targets(rows["label"].value_counts(sort=False), shares).to_dict("index")
    for label, members in rows.groupby("label", sort=True).indices.items():
        rng = np.random.default_rng([seed, zlib.crc32(str(label).encode("utf-8", "surrogateescape"))])
        free = rng.permutation(members[drawn[members] == ""])
        for split in ("val", "test"):
            missing = max(0, targets[label][split] - int((drawn[members] == split).sum()))
            drawn[free[:missing]], free = split, free[missing:]
        drawn[free] = "train"
    return list(drawn)


def _draw_by_group(rows: pd.DataFrame, shares: dict[str, float], seed: int) -> list[str]:
    """Largest groups first, each to the split whose classes it brings nearest to their targets."""
    rows_UC = pd.crosstab(rows["unit"], rows["label"])
    split_U = rows.groupby("unit")["split"].first().reindex(rows_UC.index)
    total_C = rows_UC.sum().to_numpy()
    targets_SC = _targets(rows_UC.sum(), shares)[list(SPLITS)].to_numpy().T
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
