"""Cosines of pairs of the same image and of pairs of different ones, from which a threshold is proposed."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.inspection.near import cosines
from unchoke.inspection.neighbours import nearest, rows_of
from unchoke.store.read import FeatureStore

SAME, OTHERS = 2000, 1000
"""Images that are drawn at most for either kind of pairs."""
FEWEST = 20
"""Near copies from which on they serve as pairs of the same image."""
Ints = NDArray[np.int64]


class Samples(NamedTuple):
    """Cosines of drawn pairs."""

    basis: str
    """What the pairs of the same image are."""
    same_P: NDArray[np.float64]
    other_Q: NDArray[np.float64]
    """Of images with the nearest one of another group that is no known copy."""


def draw_samples(
    features: dict[str, FeatureStore],
    pool: str,
    images: pd.DataFrame,
    near_pairs: pd.DataFrame,
    seed: int,
    device: torch.device,
) -> Samples | None:
    """The pairs of a seeded sample; None where there are no pairs of the same image.

    features: stores by view; the second view, if there is one, gives the pairs of the same image. images: columns
    image_id and group of the images that take part. near_pairs: columns image_id and other of near copies by pixels,
    which give the pairs where there is one view.
    """
    (view, first), *more = features.items()
    stored, ids = first.group[pool], images["image_id"].to_numpy(np.int64)
    if more:
        (turned, second), *_ = more
        seen = drawn(ids, SAME, seed)
        same_P = cosines(stored, seen, seen, device, second.group[pool])
        basis = f"views {view} and {turned} of {len(seen):,} images"
    else:
        known = near_pairs[near_pairs["image_id"].isin(ids) & near_pairs["other"].isin(ids)]
        if len(known) < FEWEST:
            return None
        seen = drawn(known.to_numpy(np.int64), SAME, seed)
        same_P = cosines(stored, seen[:, 0], seen[:, 1], device)
        basis = f"{len(seen):,} near copies by pixels"
    return Samples(basis, same_P, _nearest_others(stored, images, seed, device))


def no_threshold(where: str) -> UnchokeError:
    """The error where no threshold is given and none can be proposed."""
    return UnchokeError(
        "No threshold can be proposed for near_in_features: nothing shows how near two pictures of one image are.",
        found=f"one view, and fewer than {FEWEST} near copies by pixels",
        where=where,
        do="add a view to the encoder, such as hflip or crop_0, or set cleaning.features.rules.near_in_features."
        "threshold",
    )


def no_difference(basis: str) -> UnchokeError:
    """The error where different images are as near each other as those of one image. basis: what these are."""
    return UnchokeError(
        "No threshold can be proposed for near_in_features: different images are as near as two pictures of one image.",
        found=f"{basis}: at no cosine are more of these found than of nearest different images",
        do="look at the features (are they all equal?), or set cleaning.features.rules.near_in_features.threshold",
    )


def drawn(rows_N: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most so many rows, in their order; the same for the same seed."""
    if len(rows_N) <= most:
        return rows_N
    return rows_N[np.sort(np.random.default_rng(seed).choice(len(rows_N), most, replace=False))]


def unit_numbers(images: pd.DataFrame, n: int) -> torch.Tensor:
    """A number for the group of each of n stored rows, int64 (n,); images alone have their own, -1 takes no part."""
    ids, alone = images["image_id"].to_numpy(np.int64), (images["group"] == "").to_numpy(bool)
    unit_n = torch.full((n,), -1, dtype=torch.int64)
    unit_n[torch.tensor(ids)] = torch.tensor(np.where(alone, n + ids, pd.factorize(images["group"])[0]))
    return unit_n


def _nearest_others(stored: Any, images: pd.DataFrame, seed: int, device: torch.device) -> NDArray[np.float64]:
    ids, unit_n = images["image_id"].to_numpy(np.int64), unit_numbers(images, stored.shape[0])
    asked = drawn(ids, OTHERS, seed)
    unit_Q = unit_n[torch.tensor(asked)]

    def allowed(queries: slice, known: slice) -> torch.Tensor:
        return (unit_Q[queries, None] != unit_n[None, known]) & (unit_n[None, known] >= 0)

    cosine_Q1, place_Q1 = nearest(rows_of(stored, asked), stored, 1, device, allowed)
    return np.asarray(cosine_Q1[place_Q1[:, 0] >= 0, 0], np.float64)
