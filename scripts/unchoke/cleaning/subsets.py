"""Pure: subsets of the data: a share of each class, or k images of it. Subsets are nested and grow with the data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xxhash
from numpy.typing import NDArray

from unchoke.errors import UnchokeError


def left_out(frame: pd.DataFrame, dropped: NDArray[np.object_] | None, subset: Mapping[str, Any]) -> NDArray[np.bool_]:
    """True for the images that `subset` leaves out, (n,), among those in use.

    frame: columns path, label, split and excluded of the manifest; row i is image_id i.
    dropped: why cleaning drops an image, (n,), '' where it stays, as ``cleaning.rules.find`` gives it; None without
    cleaning.
    subset: fraction, per_class, seed and splits, as the section ``subset`` of the config dumps them.

    In use are images that neither the manifest excludes nor cleaning drops. In each of `splits`, each class keeps
    ``per_class`` images, or ``round(fraction * count)`` and at least one. These are the images with the smallest
    XXH3-64 of the path, seeded with `seed`. So a smaller subset lies within a larger one of the same seed, and a new
    image replaces at most one other. Groups (patients, slides) may be split.

    Raises UnchokeError where a class has fewer than ``per_class`` images in use.
    """
    used_N = (frame["excluded"] == "").to_numpy(dtype=bool) & frame["split"].isin(subset["splits"]).to_numpy(dtype=bool)
    if dropped is not None:
        used_N &= dropped == ""
    rows = frame.loc[used_N, ["path", "label", "split"]].assign(row=np.flatnonzero(used_N))
    rows["draw"] = np.array([_draw(path, subset["seed"]) for path in rows["path"]], dtype=np.uint64)
    left_out_N = np.zeros(len(frame), dtype=bool)
    for (split, label), members in rows.sort_values(["draw", "row"]).groupby(["split", "label"]):
        n_kept = _n_kept(len(members), subset, f"class '{label}' of {split}")
        left_out_N[members["row"].to_numpy()[n_kept:]] = True
    return left_out_N


def _draw(path: str, seed: int) -> int:
    """Rank of an image in the draw; it depends on neither the machine nor the other images."""
    return xxhash.xxh3_64_intdigest(path.encode("utf-8", "surrogateescape"), seed=seed)


def _n_kept(count: int, subset: Mapping[str, Any], where: str) -> int:
    per_class: int | None = subset["per_class"]
    if per_class is None:
        fraction: float = subset["fraction"]
        return max(1, round(fraction * count))
    if per_class > count:
        raise UnchokeError(
            "A class has too few images for the subset.",
            found=f"{count} in use",
            expected=f"subset.per_class {per_class}",
            where=where,
            do=f"set subset.per_class to {count} or less, or give subset.fraction in its place",
        )
    return per_class
