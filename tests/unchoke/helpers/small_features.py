"""Small features with labels, for tests of heads: the pixels of handwritten digits, and clouds of random points."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits

from unchoke.heads.rows import Rows
from unchoke.store import chunks
from unchoke.store.read import FeatureStore, open_complete

N = 1000
UNREADABLE = [5, 17]
PIXELS = {"identity": load_digits().data[:N], "hflip": load_digits().images[:N, :, ::-1].reshape(N, 64)}
LABELS = load_digits().target[:N]
SPLIT = np.random.default_rng(0).choice(["train", "val", "test"], N, p=[0.5, 0.2, 0.3])


def pixel_manifest() -> pd.DataFrame:
    columns = {"image_id": range(N), "label": [str(label) for label in LABELS], "split": SPLIT}
    return pd.DataFrame({**columns, "group": "", "excluded": ""}, dtype=object)


def pixel_store(folder: Path, view: str = "identity") -> FeatureStore:
    """Pixels of the first thousand digits, two of them unreadable."""
    valid = np.ones(N, bool)
    valid[UNREADABLE] = False
    return make_store(folder / f"{view}.zarr", PIXELS[view] * valid[:, None], valid, view=view)


def make_store(
    path: Path, x_ND: np.ndarray, valid: np.ndarray | None = None, dtype: str = "float16", **settings: Any
) -> FeatureStore:
    """A sealed store of one pool, `avg`, in two chunks."""
    valid = np.ones(len(x_ND), bool) if valid is None else valid
    size = (len(x_ND) + 1) // 2
    for chunk in range(2):
        rows = slice(chunk * size, chunk * size + size)
        short = size - len(x_ND[rows])
        features = np.pad(x_ND[rows].astype(dtype), ((0, short), (0, 0)))
        chunks.write_chunk(path, chunk, {"avg": features, "valid": np.pad(valid[rows], (0, short))}, {})
    shapes = {"avg": [size, x_ND.shape[1]], "valid": [size]}
    facts = {"settings": {"model": "pixels", "trained": True, "view": "identity", **settings}}
    chunks.seal(path, len(x_ND), shapes, facts, {"invalid": []})
    return open_complete(path)


def make_manifest(labels: list[str], splits: list[str]) -> pd.DataFrame:
    columns = {"image_id": range(len(labels)), "label": labels, "split": splits}
    return pd.DataFrame({**columns, "group": "", "excluded": ""}, dtype=object)


def used(split: str) -> np.ndarray:
    """Places of the readable digits of a split, found without the library."""
    return np.setdiff1d(np.flatnonzero(split == SPLIT), UNREADABLE)


def clouds(per_class: list[int], width: int, seed: int, spread: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Points around a centre for each class, in random order: float16 (N, D) and int64 (N,)."""
    centre_CD = np.random.default_rng(99).normal(size=(len(per_class), width))
    rng = np.random.default_rng(seed)
    y_N = rng.permutation(np.repeat(np.arange(len(per_class)), per_class))
    return (centre_CD[y_N] + rng.normal(0, spread, (len(y_N), width)) + 0.5).astype(np.float16), y_N


def rows_of(x_ND: np.ndarray, y_N: np.ndarray, views: int = 1) -> Rows:
    ids = np.arange(len(y_N))
    return Rows(torch.from_numpy(x_ND), torch.from_numpy(y_N), ids, np.full(len(y_N), "", object), views)
