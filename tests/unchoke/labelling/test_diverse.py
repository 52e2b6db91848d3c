"""Farthest-first against its definition in float64, and what stays when images are added."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.labelling.diverse import DIGITS, farthest_first

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 45), st.integers(1, 9), st.integers(1, 50), st.integers(0, 10**6))


def points(n: int, seed: int, width: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Features of length 1, some of them copies, and a draw."""
    rng = np.random.default_rng(seed)
    x_ND = rng.normal(size=(n, width))
    x_ND[rng.random(n) < 0.2] = x_ND[0]
    return x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True), rng.permutation(n).astype(np.uint64)


def naive(x_ND: np.ndarray, gap_N: np.ndarray, draw_N: np.ndarray, n: int) -> list[int]:
    """The image farthest from all before it, step by step; of equals the one with the smallest draw."""
    gap_N, found = np.round(gap_N, DIGITS), list[int]()
    while len(found) < n:
        left = [place for place in range(len(x_ND)) if place not in found and gap_N[place] > 0]
        if not left:
            break
        found.append(min(left, key=lambda place: (-gap_N[place], draw_N[place])))
        gap_N = np.minimum(gap_N, np.round(1 - x_ND @ x_ND[found[-1]], DIGITS).clip(0))
    return found


def chosen(x_ND: np.ndarray, gap_N: np.ndarray, draw_N: np.ndarray, n: int, block: int = 7, reserve: int = 5):
    blocks = [slice(start, min(start + block, len(x_ND))) for start in range(0, len(x_ND), block)]
    return farthest_first(lambda place_B: x_ND[place_B], gap_N, draw_N, n, blocks, reserve)


@given(SIZES, st.booleans())
def test_it_is_the_definition_whatever_the_blocks_and_the_reserve(sizes, covered) -> None:
    n_images, n, block, reserve, seed = sizes
    x_ND, draw_N = points(n_images, seed)
    gap_N = np.full(n_images, np.inf)
    if covered:
        gap_N = 1 - x_ND @ points(1, seed + 1)[0][0]
    found = chosen(x_ND, gap_N.copy(), draw_N, n, block, reserve)
    assert found.place_M.tolist() == naive(x_ND, gap_N, draw_N, n)
    nearest_N = np.minimum(gap_N, (1 - x_ND @ x_ND[found.place_M].T).min(1, initial=np.inf))
    nearest_N[found.place_M] = 0
    assert found.radius == pytest.approx(nearest_N.max(), abs=10.0**-DIGITS)
    assert (np.diff(found.gap_M) <= 0).all()


@given(st.integers(2, 40), st.integers(0, 10**6))
def test_fewer_are_a_prefix_and_the_order_of_the_rows_is_none(n_images, seed) -> None:
    x_ND, draw_N = points(n_images, seed)
    gap_N, order = np.full(n_images, np.inf), np.random.default_rng(seed).permutation(n_images)
    whole = chosen(x_ND, gap_N, draw_N, n_images).place_M.tolist()
    few = chosen(x_ND, gap_N, draw_N, max(1, n_images // 3)).place_M.tolist()
    assert whole[: len(few)] == few
    turned = chosen(x_ND[order], gap_N, draw_N[order], n_images).place_M
    assert order[turned].tolist() == whole


@given(st.integers(2, 30), st.integers(1, 10), st.integers(0, 10**6))
def test_added_images_change_nothing_before_the_first_of_them_that_is_chosen(n_old, n_new, seed) -> None:
    x_ND, _ = points(n_old + n_new, seed)
    draw_N = np.random.default_rng(seed + 1).permutation(n_old + n_new).astype(np.uint64)
    before = chosen(x_ND[:n_old], np.full(n_old, np.inf), draw_N[:n_old], n_old).place_M.tolist()
    after = chosen(x_ND, np.full(n_old + n_new, np.inf), draw_N, n_old).place_M.tolist()
    same = next((step for step, place in enumerate(after) if place >= n_old), len(after))
    assert after[:same] == before[:same]


def test_the_largest_distance_is_at_most_twice_the_best_possible() -> None:
    """Gonzalez's bound, by the Euclidean distance, of which ours is half the square: all choices of 3 among 14."""
    from itertools import combinations

    x_ND, draw_N = points(14, 3)
    radius = chosen(x_ND, np.full(14, np.inf), draw_N, 3).radius
    best = min((1 - x_ND @ x_ND[list(some)].T).min(1).max() for some in combinations(range(14), 3))
    assert best <= radius + 1e-6 and np.sqrt(radius) <= 2 * np.sqrt(best)


def test_the_store_is_read_a_few_times_only() -> None:
    """500 images of 20,000 by a reserve of 2,000: far fewer passes than images, since each tells of many."""
    passes = list[int]()
    rng = np.random.default_rng(0)
    x_ND = rng.normal(size=(20_000, 8))
    x_ND /= np.linalg.norm(x_ND, axis=1, keepdims=True)
    draw_N = rng.permutation(20_000).astype(np.uint64)
    blocks = [slice(start, start + 5000) for start in range(0, 20_000, 5000)]
    farthest_first(lambda place_B: x_ND[place_B], np.full(20_000, np.inf), draw_N, 500, blocks, 2000, passes.append)
    assert len(passes) <= 25 and passes[-1] == 500
