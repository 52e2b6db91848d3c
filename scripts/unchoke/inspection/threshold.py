"""Pure: a threshold for near images, proposed from the data: cosines of the same image against those of others.

It is where the share of pairs of the same image at or above it is farthest above that of other images (Youden 1950,
"Index for rating diagnostic tests", Cancer 3). That choice does not move with a few unknown copies among the others.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 50


class Proposal(NamedTuple):
    """A threshold, and what it does to the pairs that it was drawn from."""

    threshold: float
    same_found: float
    """Share of the pairs of the same image at or above it."""
    others_found: float
    """Share of the others at or above it."""


def propose(same_P: NDArray[np.floating], other_Q: NDArray[np.floating]) -> Proposal:
    """The threshold from cosines of pairs of the same image (P,) and of images with their nearest other one (Q,).

    It lies halfway between the pair at which the difference of shares is largest, the highest of several, and the next
    lower one.
    """
    values_V = np.unique(np.concatenate([same_P, other_Q]))[::-1]
    same_V, other_V = (1 - np.searchsorted(np.sort(x), values_V) / len(x) for x in (same_P, other_Q))
    best = int(np.argmax(np.round(same_V - other_V, 12)))
    below = values_V[best + 1] if best + 1 < len(values_V) else values_V[best]
    return Proposal(float((values_V[best] + below) / 2), float(same_V[best]), float(other_V[best]))


def histogram(same_P: NDArray[np.floating], other_Q: NDArray[np.floating]) -> dict[str, list[float]]:
    """Edges of the bins, and the share of either kind of pairs in each; plain data."""
    low = float(min(same_P.min(), other_Q.min()))
    edges = np.linspace(min(low, 1 - 1e-3), max(1.0, float(max(same_P.max(), other_Q.max()))), BINS + 1)
    shares = [np.histogram(x, edges)[0] / len(x) for x in (same_P, other_Q)]
    return {"edges": edges.tolist(), "same": shares[0].tolist(), "others": shares[1].tolist()}
