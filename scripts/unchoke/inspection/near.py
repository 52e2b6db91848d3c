"""The rule ``near_in_features``: images whose features are nearly the same, by cosine, exact.

A pair whose cosine reaches the threshold is linked, and the connected components are the clusters. So two members of a
cluster may lie farther apart than the threshold.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.cleaning.findings import Copies, Found, copies_of
from unchoke.inspection.neighbours import KNOWN, rows_of, unit_rows
from unchoke.inspection.pairs import PairSearch

_TELL_S = 20  # between two lines that say how far the search is

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

    stored: as of ``neighbours.unit_rows``. used_n: which rows take part. A pair is near where its cosine, computed in
    float64, is at least the threshold less ``pairs.EXACT``; most pairs are ruled out by a bound (``shortened``).
    """
    place_U = np.flatnonzero(used_n)
    search = PairSearch(stored, place_U, threshold, device)
    blocks = [slice(start, min(start + KNOWN, len(place_U))) for start in range(0, len(place_U), KNOWN)]
    told = time.monotonic()
    for number, rows in enumerate(blocks):
        for columns in blocks[number:]:
            search.compare(rows, columns)
        if time.monotonic() > told + _TELL_S:
            told = time.monotonic()
            done = 1 - ((len(blocks) - number - 1) / len(blocks)) ** 2
            print(f"near_in_features: {done:.0%} of the pairs of {len(place_U):,} images compared", flush=True)
    search.components.merge()
    first_U = np.full(len(place_U), stored.shape[0])
    np.minimum.at(first_U, search.components.label_U, place_U)
    cluster_n = np.arange(stored.shape[0])
    cluster_n[place_U] = first_U[search.components.label_U]
    return cluster_n


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
