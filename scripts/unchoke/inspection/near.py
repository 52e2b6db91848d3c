"""The rule ``near_in_features``: images whose features are nearly the same, by cosine, exact.

All pairs are compared, in blocks. A pair whose cosine reaches the threshold is linked, and the connected components are
the clusters. So two members of a cluster may lie farther apart than the threshold.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.cleaning.findings import Copies, Found, copies_of
from unchoke.cleaning.near_duplicates import Components
from unchoke.inspection.neighbours import KNOWN, unit_rows

_STRIPE = 256  # rows whose pairs are listed at once, 2 million at most

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Places(NamedTuple):
    """Which of the stored rows take part, N of them."""

    image_id_N: Ints
    """Rows of the store, in increasing order."""
    rank_N: Ints
    """0 in test, 1 in val, 2 in train."""


def near_in_features(stored: Any, used_n: Bools, threshold: float, device: torch.device) -> Ints:
    """The cluster of each of n stored rows, int64 (n,), named by its first row; a row alone names itself.

    stored: as of ``neighbours.unit_rows``. used_n: which rows take part. Products are of float32, so that a cosine
    within 1e-6 of the threshold may fall on either side.
    """
    n = stored.shape[0]
    components = Components(n)
    used = torch.from_numpy(used_n).to(device)
    for start in range(0, n, KNOWN):
        rows = slice(start, min(start + KNOWN, n))
        own_BD = unit_rows(stored, rows, device)
        for first in range(start, n, KNOWN):
            columns = slice(first, min(first + KNOWN, n))
            other_BD = own_BD if first == start else unit_rows(stored, columns, device)
            _link(own_BD, other_BD, rows, columns, used, threshold, components)
    components.merge()
    first_U = np.full(n, n)
    np.minimum.at(first_U, components.label_U, np.arange(n))
    return np.asarray(first_U[components.label_U], np.int64)


def _link(
    own_BD: torch.Tensor,
    other_MD: torch.Tensor,
    rows: slice,
    columns: slice,
    used: torch.Tensor,
    threshold: float,
    components: Components,
) -> None:
    """Link the near pairs of two blocks; of a block with itself, and pairs in any order, more than once."""
    for start in range(0, len(own_BD), _STRIPE):
        stripe = slice(rows.start + start, min(rows.start + start + _STRIPE, rows.stop))
        near_SM = own_BD[start : start + _STRIPE] @ other_MD.T >= threshold
        near_SM &= used[stripe, None] & used[None, columns]
        one_P, other_P = near_SM.nonzero(as_tuple=True)
        if len(one_P):
            components.link((one_P + stripe.start).cpu().numpy(), (other_P + columns.start).cpu().numpy())


def find_near(
    stored: Any, places: Places, threshold: float, settings: Mapping[str, Any], device: torch.device
) -> tuple[Found, dict[str, Any]]:
    """The near images but those that stay, with their cosine to the one that stays; and a summary of plain data.

    settings: of the rule; with ``across`` only images whose copy that stays is in another split.
    """
    used_n = np.zeros(stored.shape[0], bool)
    used_n[places.image_id_N] = True
    cluster_n = near_in_features(stored, used_n, threshold, device)
    copies = copies_of(np.searchsorted(places.image_id_N, cluster_n[places.image_id_N]), places.rank_N)
    across_N = places.rank_N > places.rank_N[copies.kept_N]
    applies_N = copies.kept_N != np.arange(len(copies.kept_N))
    summary = {
        "threshold": threshold,
        "clusters": len(np.unique(copies.cluster_N[applies_N])),
        "across": int((across_N & applies_N).sum()),
    }
    return _found(stored, places, copies, applies_N & across_N if settings["across"] else applies_N, device), summary


def _found(stored: Any, places: Places, copies: Copies, applies_N: Bools, device: torch.device) -> Found:
    place_F = np.flatnonzero(applies_N)
    id_F, other_F = places.image_id_N[place_F], places.image_id_N[copies.kept_N[place_F]]
    return Found(
        id_F,
        places.rank_N[place_F] > 0,
        places.image_id_N[copies.cluster_N[place_F]],
        cosines(stored, id_F, other_F, device),
        other_F,
    )


def cosines(stored: Any, one_P: Ints, other_P: Ints, device: torch.device, others: Any = None) -> NDArray[np.float64]:
    """Cosine of P pairs of rows, float64 (P,); others: where the second rows lie, None in the same store."""
    found_P = np.empty(len(one_P), np.float64)
    for start in range(0, len(one_P), KNOWN):
        part = slice(start, start + KNOWN)
        one, other = (
            unit_rows(rows_of(table, place_P[part]), slice(None), device)
            for table, place_P in ((stored, one_P), (stored if others is None else others, other_P))
        )
        found_P[part] = (one * other).sum(1).cpu().numpy()
    return found_P


def rows_of(stored: Any, place_B: Ints) -> NDArray[np.floating]:
    """Some rows (B, D) in any order; Zarr reads each chunk once."""
    if isinstance(stored, np.ndarray):
        return stored[place_B]
    return np.asarray(stored.oindex[place_B])
