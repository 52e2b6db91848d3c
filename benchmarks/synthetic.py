"""Features as an encoder might give them: classes mixed in few dimensions, seen through a random layer."""

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.heads.rows import Rows

LATENT = 48  # dimensions in which the classes lie
SPREAD = 0.45  # of the classes' centres, against a deviation of 1 within them: linear heads reach about 0.9 of 10
NOISE = 0.3  # deviation added to every feature
_BLOCK = 8192  # rows drawn at once


def draw_rows(counts: dict[str, int], width: int, n_classes: int, seed: int = 0) -> dict[str, Rows]:
    """float16 features (count, width) and labels of each split in `counts`."""
    rng = np.random.default_rng(seed)
    centres_CL = SPREAD * rng.normal(size=(n_classes, LATENT)).astype(np.float32)
    layer_LD = rng.normal(size=(LATENT, width)).astype(np.float32) / np.float32(np.sqrt(LATENT))
    scale_D = np.exp(rng.normal(size=width)).astype(np.float32)
    rows = {}
    for split, count in counts.items():
        label_N = rng.integers(0, n_classes, count)
        x_ND = np.empty((count, width), np.float16)
        for start in range(0, count, _BLOCK):
            part = slice(start, start + _BLOCK)
            x_ND[part] = _see(centres_CL[label_N[part]], layer_LD, rng) * scale_D
        alone = np.full(count, "", object)
        rows[split] = Rows(torch.from_numpy(x_ND), torch.from_numpy(label_N), np.arange(count), alone)
    return rows


def _see(
    centre_BL: NDArray[np.float32], layer_LD: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    latent_BL = centre_BL + rng.standard_normal(centre_BL.shape, np.float32)
    seen_BD = np.maximum(latent_BL @ layer_LD, 0)
    return seen_BD + NOISE * rng.standard_normal(seen_BD.shape, np.float32)
