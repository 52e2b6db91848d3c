"""Typical images against the definition, step by step in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.labelling.typical import mean_distances, most_typical


def points(n: int, seed: int) -> np.ndarray:
    x_ND = np.random.default_rng(seed).normal(size=(n, 3))
    return np.asarray(x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True))


def nearest_of(x_ND: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and places of the k nearest others; -2 and -1 where there are fewer."""
    cosine_NN = x_ND @ x_ND.T
    np.fill_diagonal(cosine_NN, -2)
    place_Nk = np.argsort(-cosine_NN, 1, kind="stable")[:, :k]
    cosine_Nk = np.take_along_axis(cosine_NN, place_Nk, 1)
    return cosine_Nk, np.where(cosine_Nk > -2, place_Nk, -1)


def naive(x_ND: np.ndarray, k: int, may_N: np.ndarray, draw_N: np.ndarray, n: int) -> list[int]:
    """The image with the fewest chosen or covered neighbours, of equals the one nearest to its own neighbours."""
    distance_NN = np.linalg.norm(x_ND[:, None] - x_ND[None], axis=2)
    np.fill_diagonal(distance_NN, np.inf)
    near = [set(np.argsort(row, kind="stable")[: min(k, len(x_ND) - 1)].tolist()) for row in distance_NN]
    mean = [distance_NN[place, list(some)].mean() if some else np.inf for place, some in enumerate(near)]
    found, done = list[int](), set(np.flatnonzero(~may_N).tolist())
    while len(found) < n:
        left = [place for place in np.flatnonzero(may_N).tolist() if place not in found]
        count = {place: sum(other in near[place] or place in near[other] for other in done) for place in left}
        found.append(min(left, key=lambda place: (count[place], round(mean[place], 9), draw_N[place])))
        done.add(found[-1])
    return found


@given(st.integers(1, 25), st.integers(1, 30), st.integers(0, 10**6), st.booleans())
def test_it_is_the_definition(n_images, k, seed, covered) -> None:
    x_ND, rng = points(n_images, seed), np.random.default_rng(seed)
    draw_N = rng.permutation(n_images).astype(np.uint64)
    may_N = rng.random(n_images) < 0.7 if covered else np.ones(n_images, bool)
    cosine_Nk, near_Nk = nearest_of(x_ND, k)
    distance_N = np.round(mean_distances(cosine_Nk, near_Nk), 9)
    found = most_typical(near_Nk, distance_N, may_N, draw_N, int(may_N.sum()))
    assert found.tolist() == naive(x_ND, k, may_N, draw_N, int(may_N.sum()))
    assert most_typical(near_Nk, distance_N, may_N, draw_N, int(may_N.sum()) // 2).tolist() == (
        found[: int(may_N.sum()) // 2].tolist()
    )


def test_the_centre_of_a_dense_cloud_comes_first_and_an_outlier_late() -> None:
    rng = np.random.default_rng(0)
    centre_CD = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    spread_N1 = np.repeat([0.05, 0.1, 0.2], 30)[:, None]
    x_ND = np.concatenate([centre_CD.repeat(30, 0) + spread_N1 * rng.normal(size=(90, 3)), [[-1.0, -1, -1]]])
    x_ND /= np.linalg.norm(x_ND, axis=1, keepdims=True)
    cosine_Nk, near_Nk = nearest_of(x_ND, 8)
    draw_N = np.arange(91).astype(np.uint64)
    found = most_typical(near_Nk, mean_distances(cosine_Nk, near_Nk), np.ones(91, bool), draw_N, 91)
    assert found[0] // 30 == 0 and {place // 30 for place in found[:9]} == {0, 1, 2}
    assert found.tolist().index(90) > 5


def test_mean_distances_worked_by_hand() -> None:
    cosine_Nk = np.array([[1.0, 0.5], [0.0, -2.0], [-2.0, -2.0]], np.float32)
    near_Nk = np.array([[1, 2], [0, -1], [-1, -1]])
    assert mean_distances(cosine_Nk, near_Nk).tolist() == pytest.approx([0.5, np.sqrt(2), np.inf])
