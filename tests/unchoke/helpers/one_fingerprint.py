"""The fingerprint of one image."""

import numpy as np
from numpy.typing import NDArray

from unchoke.cleaning.measures import fingerprint_batch


def fingerprint(rgb_HW3: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Hashes (3,) and measures (6,)."""
    hashes, measures = fingerprint_batch(rgb_HW3[None])
    return hashes[0], measures[0]
