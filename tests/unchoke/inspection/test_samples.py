"""Pairs of the same image and of others, beside plain NumPy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_features import make_store

from unchoke.inspection import samples
from unchoke.inspection.samples import draw_samples

CPU, N = torch.device("cpu"), 60
RNG = np.random.default_rng(0)
X_ND = RNG.normal(size=(N, 8)).astype(np.float16)
TURNED_ND = (X_ND + 0.1 * RNG.normal(size=X_ND.shape)).astype(np.float16)
IMAGES = pd.DataFrame({"image_id": range(2, N), "group": ["a", "a"] + [""] * (N - 4)})
NONE = pd.DataFrame({"image_id": [], "other": []}, dtype=np.int64)


def unit(x_ND: np.ndarray) -> np.ndarray:
    x_ND = x_ND.astype(np.float64)
    return x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True)


def nearest_others() -> np.ndarray:
    """Of each image that takes part the cosine of the nearest other one; 2 and 3 are of one group."""
    cosine_NN = unit(X_ND) @ unit(X_ND).T
    np.fill_diagonal(cosine_NN, -2)
    cosine_NN[2, 3] = cosine_NN[3, 2] = -2
    return cosine_NN[2:, 2:].max(1)


def test_two_views_are_the_same_image(tmp_path: Path) -> None:
    stores = {"identity": make_store(tmp_path / "x.zarr", X_ND)}
    stores["hflip"] = make_store(tmp_path / "h.zarr", TURNED_ND, view="hflip")
    drawn = draw_samples(stores, "avg", IMAGES, NONE, 0, CPU)
    assert drawn is not None and "hflip" in drawn.basis
    assert drawn.same_P == pytest.approx((unit(X_ND) * unit(TURNED_ND)).sum(1)[2:], abs=1e-6)
    assert drawn.other_Q == pytest.approx(nearest_others(), abs=1e-6)


def test_near_copies_serve_where_there_is_one_view(tmp_path: Path) -> None:
    stores = {"identity": make_store(tmp_path / "x.zarr", X_ND)}
    pairs = pd.DataFrame({"image_id": np.arange(2, 30), "other": np.arange(30, 58)})
    drawn = draw_samples(stores, "avg", IMAGES, pairs, 0, CPU)
    assert drawn is not None and drawn.basis == "28 near copies by pixels"
    assert drawn.same_P == pytest.approx((unit(X_ND)[2:30] * unit(X_ND)[30:58]).sum(1), abs=1e-6)
    assert draw_samples(stores, "avg", IMAGES, pairs[:19], 0, CPU) is None


def test_large_samples_are_drawn_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "OTHERS", 10)
    stores = {"identity": make_store(tmp_path / "x.zarr", X_ND)}
    pairs = pd.DataFrame({"image_id": np.arange(2, 30), "other": np.arange(30, 58)})
    one, same, other = (draw_samples(stores, "avg", IMAGES, pairs, seed, CPU) for seed in (1, 1, 2))
    assert one is not None and same is not None and other is not None
    assert one.other_Q.tolist() == same.other_Q.tolist() != other.other_Q.tolist()
    assert len(one.other_Q) == 10 and set(np.round(one.other_Q, 5)) <= set(np.round(nearest_others(), 5))
