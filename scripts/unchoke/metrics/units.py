"""Pure: independent units of a sample, images or groups of them, and how resamples draw them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK = 2**24  # most numbers at once: of resamples × images


@dataclass(frozen=True)
class Bootstrap:
    """How the intervals of masks against each other are drawn."""

    resamples: int = 1000
    seed: int = 0


DEFAULT = Bootstrap()


def group_places(group_N: NDArray[np.object_] | None, n_images: int) -> NDArray[np.int64]:
    """Number of the group of each image; an image without one stands alone."""
    if group_N is None or not group_N.any():
        return np.arange(n_images)
    names = [group or f"\0{row}" for row, group in enumerate(group_N)]  # no name of a group begins with NUL
    return np.unique(np.array(names, object).astype(str), return_inverse=True)[1].astype(np.int64)


def resample_weights(place_N: NDArray[np.int64], bootstrap: Bootstrap) -> Iterator[NDArray[np.float32]]:
    """Weights (B, N) of the images in blocks of resamples: how often the group of each was drawn.

    None at all where there is but one group: it tells nothing of others.
    """
    rng, n_groups = np.random.default_rng(bootstrap.seed), int(place_N.max()) + 1
    if n_groups < 2:
        return
    block = max(1, min(bootstrap.resamples, _BLOCK // len(place_N)))
    for start in range(0, bootstrap.resamples, block):
        rows = min(block, bootstrap.resamples - start)
        drawn = rng.integers(0, n_groups, (rows, n_groups)) + n_groups * np.arange(rows)[:, None]
        weight_BG = np.bincount(drawn.ravel(), minlength=rows * n_groups).reshape(rows, n_groups)
        yield weight_BG[:, place_N].astype(np.float32)
