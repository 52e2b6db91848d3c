"""Nearest class centroid against scikit-learn and NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import StandardScaler, normalize
from small_features import clouds, rows_of

from unchoke.config.heads import Centroid
from unchoke.heads.kinds import centroid
from unchoke.heads.rows import Rows

CPU = torch.device("cpu")


def sets(seed: int) -> tuple[Rows, Rows]:
    train, val = (rows_of(*clouds(counts, 5, seed + part)) for part, counts in ((0, [30, 12, 5]), (1000, [20, 20, 20])))
    return train, val


def logits_of(train: Rows, val: Rows, **given: Any) -> np.ndarray:
    head = Centroid(kind="centroid", **{"choose_by": "accuracy", **given}).model_dump()
    fitted = centroid.fit(train, val, 3, head, CPU)
    return centroid.predict(fitted.replicates[0], head, val.x_ND, CPU).numpy()


def scaled(train: Rows, val: Rows, standardize: bool) -> tuple[np.ndarray, np.ndarray]:
    x_ND, more_ND = (part.x_ND.numpy().astype(np.float64) for part in (train, val))
    if not standardize:
        return x_ND, more_ND
    scaler = StandardScaler().fit(x_ND)
    return scaler.transform(x_ND), scaler.transform(more_ND)


@settings(max_examples=15)
@given(seed=st.integers(0, 500), standardize=st.booleans(), temperature=st.sampled_from([0.07, 1.0]))
def test_euclidean_is_scikit_learns(seed: int, standardize: bool, temperature: float) -> None:
    train, val = sets(seed)
    logits = logits_of(train, val, distance=["euclidean"], standardize=standardize, temperature=temperature)
    x_ND, more_ND = scaled(train, val, standardize)
    known = NearestCentroid().fit(x_ND, train.y_N)
    squares_NC = ((more_ND[:, None] - known.centroids_) ** 2).mean(2)
    np.testing.assert_allclose(logits, -squares_NC / temperature, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(logits.argmax(1), known.predict(more_ND))


@settings(max_examples=15)
@given(seed=st.integers(0, 500), standardize=st.booleans(), temperature=st.sampled_from([0.07, 1.0]))
def test_cosine_is_that_of_the_mean_direction_of_each_class(seed: int, standardize: bool, temperature: float) -> None:
    train, val = sets(seed)
    logits = logits_of(train, val, distance=["cosine"], standardize=standardize, temperature=temperature)
    x_ND, more_ND = map(normalize, scaled(train, val, standardize))
    centre_CD = np.stack([x_ND[train.y_N.numpy() == place].mean(0) for place in range(3)])
    np.testing.assert_allclose(logits, more_ND @ normalize(centre_CD).T / temperature, rtol=1e-4, atol=1e-4)


def test_the_distance_is_chosen_on_val_and_of_equals_the_first() -> None:
    train, val = sets(7)
    head = Centroid(kind="centroid", choose_by="accuracy", distance=["euclidean", "cosine"]).model_dump()
    fitted = centroid.fit(train, val, 3, head, CPU)
    scores = [accuracy_score(val.y_N, logits_of(train, val, distance=[name]).argmax(1)) for name in head["distance"]]
    assert fitted.history == {"distance": ["euclidean", "cosine"], "val_score": pytest.approx(scores)}
    assert fitted.chosen["distance"] == head["distance"][int(np.argmax(scores))]
    apart = rows_of(np.repeat(np.eye(3, dtype=np.float16), 4, 0), np.repeat([0, 1, 2], 4))
    for order in (["cosine", "euclidean"], ["euclidean", "cosine"]):
        assert centroid.fit(apart, apart, 3, {**head, "distance": order}, CPU).chosen["distance"] == order[0]


def test_one_image_of_a_class_is_its_centroid() -> None:
    train = rows_of(np.array([[1, 0], [3, 0], [0, 5]], np.float16), np.array([0, 0, 1]))
    head = Centroid(kind="centroid", choose_by="accuracy", distance=["euclidean"], standardize=False).model_dump()
    fitted = centroid.fit(train, train, 2, head, CPU)
    assert fitted.replicates[0]["centroids"].tolist() == [[2, 0], [0, 5]]
