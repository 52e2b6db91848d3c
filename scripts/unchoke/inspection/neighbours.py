"""The nearest rows by cosine, exact, in blocks: memory depends on the blocks, not on the number of rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

QUERIES = 2048  # rows at once
KNOWN = 8192

Ints = NDArray[np.int64]
Allowed = Callable[[slice, slice], torch.Tensor]
"""Which of a slice of queries (rows) may have which of a slice of known rows (columns) as neighbours, bool."""


def unit_rows(stored: Any, place: slice, device: torch.device) -> torch.Tensor:
    """A slice of rows of length 1, float32 (B, D); rows of zeros stay so.

    stored: float16 or float32 (N, D), an array or one that Zarr reads a slice at a time.
    """
    block_BD = torch.from_numpy(np.asarray(stored[place])).to(device).float()
    return torch.nn.functional.normalize(block_BD, dim=1)


def rows_of(stored: Any, place_B: Ints) -> NDArray[np.floating]:
    """Some rows (B, D), in any order; Zarr reads each chunk once."""
    if isinstance(stored, np.ndarray):
        return stored[place_B]
    return np.asarray(stored.oindex[place_B])


def nearest(
    queries: Any, known: Any, k: int, device: torch.device, allowed: Allowed | None = None
) -> tuple[NDArray[np.float32], Ints]:
    """Cosine and place of the `k` nearest known rows of each query, the nearest first: float32 and int64 (Q, k).

    queries, known: as `stored` of ``unit_rows``, (Q, D) and (N, D). Where fewer than `k` are allowed, the rest have
    cosine -2 and place -1.
    """
    n_queries, n_known = queries.shape[0], known.shape[0]
    cosine_Qk, place_Qk = np.full((n_queries, k), -2, np.float32), np.full((n_queries, k), -1, np.int64)
    for start in range(0, n_queries, QUERIES):
        asked = slice(start, min(start + QUERIES, n_queries))
        query_BD = unit_rows(queries, asked, device)
        best_Bk = torch.full((len(query_BD), k), -2.0, device=device)
        at_Bk = torch.full((len(query_BD), k), -1, dtype=torch.int64, device=device)
        for first in range(0, n_known, KNOWN):
            block = slice(first, min(first + KNOWN, n_known))
            cosine_BM = query_BD @ unit_rows(known, block, device).T
            if allowed:
                cosine_BM.masked_fill_(~allowed(asked, block).to(device), -2.0)
            found = cosine_BM.topk(min(k, cosine_BM.shape[1]), 1)
            best_Bk, at_Bk = _merged(best_Bk, at_Bk, found.values, found.indices + first)
        cosine_Qk[asked] = best_Bk.cpu().numpy()
        place_Qk[asked] = torch.where(best_Bk > -2, at_Bk, -1).cpu().numpy()
    return cosine_Qk, place_Qk


def _merged(
    best_Bk: torch.Tensor, at_Bk: torch.Tensor, cosine_Bj: torch.Tensor, place_Bj: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest of both, and their places."""
    both, places = torch.cat([best_Bk, cosine_Bj], 1), torch.cat([at_Bk, place_Bj], 1)
    found = both.topk(best_Bk.shape[1], 1)
    return found.values, places.gather(1, found.indices)
