"""H-mean against the published counts of 500 images, by hand, and where it is not defined."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from known_words import FOLDER, folder, known_images
from numpy.typing import NDArray

from unchoke.metrics.h_mean import STRATA, counts_of, ratios, summarise, sweep
from unchoke.metrics.word_matches import PROTOCOLS, Words, matches_of, overlaps_of

HEIGHTS = {"small": 12, "medium": 16, "large": 32}


def word(x: float, height: float, corners: int = 4) -> NDArray[np.float64]:
    """50 px wide at x; further corners lie on its lower side."""
    below = [(x + 50 - 50 * step / (corners - 3), height) for step in range(corners - 2)]
    return np.array([(x, 0), (x + 50, 0), *below], np.float64)


def counted(words: Words, found: list[NDArray[np.float64]], protocol: str = "icdar2015") -> dict[str, list[int]]:
    overlaps = overlaps_of(words, found)
    return dict(zip(STRATA, counts_of(overlaps, matches_of(overlaps, protocol)).tolist(), strict=True))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_counts_of_500_images_are_those_of_icdars_script(protocol: str) -> None:
    if (archives := folder()) is None:
        pytest.skip(f"no {FOLDER} beside the repository")
    overlaps = [overlaps_of(*image) for image in known_images(archives)]
    counts_ISK = np.stack([counts_of(each, matches_of(each, protocol)) for each in overlaps])
    assert counts_ISK[:, 0].sum(0).tolist() == [1696, 2046, 2077]
    figures = summarise(counts_ISK)["all"]
    found = [round(figures[name].value, 7) for name in ("precision", "recall", "h_mean")]
    assert found == [0.8289345, 0.8165623, 0.8227019]
    drawn = np.random.default_rng(0).integers(0, 500, (2000, 500))
    ends = np.percentile(ratios(counts_ISK[:, 0][drawn].sum(1)), [2.5, 97.5], axis=0).T
    for figure, (low, high) in zip(figures.values(), ends, strict=True):
        assert (figure.low, figure.high) == pytest.approx((low, high), abs=0.004)


def test_words_and_detections_are_counted_by_size_and_by_corners() -> None:
    heights = HEIGHTS.values()
    words = Words([word(100 * place, height) for place, height in enumerate(heights)], np.zeros(3, bool))
    found = [word(0, 17), word(100, 17), word(900, 40)]  # of a small word, of the medium one, and of nothing
    counts = counted(words, found)
    assert counts == {
        "all": [2, 3, 3],
        "small": [1, 1, 1],
        "medium": [1, 1, 1],
        "large": [0, 1, 1],
        "straight": [2, 2, 3],
        "curved": [0, 0, 0],
    }
    arcs = Words([word(0, 20, 5), word(100, 20, 14), word(200, 20)], np.array([False, True, False]))
    counts = counted(arcs, [word(0, 20), word(400, 20, 9)])
    assert (counts["curved"], counts["straight"]) == ([1, 1, 1], [0, 0, 1])


def test_precision_of_straight_and_of_curved_words_is_unknown() -> None:
    words = Words([word(0, 20, 7), word(100, 20)], np.zeros(2, bool))
    overlaps = overlaps_of(words, [word(0, 20)])
    figures = summarise(counts_of(overlaps, matches_of(overlaps, "maximal"))[None])
    assert [figures[name]["recall"].value for name in ("straight", "curved")] == [0, 1]
    assert all(math.isnan(figures[name]["h_mean"].value) for name in ("straight", "curved"))
    assert all(math.isnan(figures[name]["precision"].value) for name in ("straight", "curved"))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((3, 4, 6), (0.75, 0.5, 0.6)),
        ((0, 0, 5), (0, 0, 0)),  # nothing found: as in ICDAR's script
        ((0, 4, 0), (0, math.nan, math.nan)),  # all words ignored, or none
        ((0, 0, 0), (math.nan, math.nan, math.nan)),
    ],
)
def test_figures_of_counts(counts: tuple[int, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(ratios(np.array(counts)), expected)
    figures = summarise(np.array([[counts] * len(STRATA)]))["all"]
    np.testing.assert_allclose([figure.value for figure in figures.values()], expected)


def test_no_image_at_all_has_no_figures() -> None:
    figures = summarise(np.zeros((0, len(STRATA), 3), np.int64))
    assert all(math.isnan(figure.value) for by_name in figures.values() for figure in by_name.values())


images = arrays(np.int64, (6, 3), elements=st.integers(0, 5)).map(
    lambda counts_I3: np.repeat((counts_I3 + np.array([0, 5, 5]))[:, None], len(STRATA), 1)
)


@given(images, st.permutations(range(6)))
def test_the_order_of_images_is_of_no_matter(counts_ISK: NDArray[np.int64], order: list[int]) -> None:
    one, other = summarise(counts_ISK)["all"], summarise(counts_ISK[order])["all"]
    for name, figure in one.items():
        np.testing.assert_allclose((figure.low, figure.high), (other[name].low, other[name].high))


def test_images_of_one_group_are_one_unit_and_those_without_words_and_detections_none() -> None:
    counts_ISK = np.repeat(np.array([[1, 2, 2], [1, 1, 2], [2, 2, 3], [0, 0, 0], [0, 1, 0]])[:, None], len(STRATA), 1)
    alone = summarise(counts_ISK)["all"]
    assert [alone[name].units for name in ("precision", "recall", "h_mean")] == [4, 3, 4]
    grouped = summarise(counts_ISK, np.array(["a", "a", "b", "c", "c"], object))["all"]
    assert [grouped[name].units for name in ("precision", "recall", "h_mean")] == [3, 2, 3]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_sweep_is_the_metric_on_the_detections_above_each_score(protocol: str) -> None:
    rng = np.random.default_rng(3)
    words = Words([word(20 * place, 20) for place in range(8)], np.arange(8) % 4 == 3)
    found = [word(20 * place + rng.integers(-15, 15), 20) for place in range(8)]
    score_D, thresholds = rng.uniform(size=8), np.linspace(0, 1, 6)
    counts_T3 = sweep(overlaps_of(words, found), score_D, thresholds, protocol)
    for threshold, counts in zip(thresholds, counts_T3, strict=True):
        above = [corners for corners, score in zip(found, score_D, strict=True) if score >= threshold]
        assert counted(words, above, protocol)["all"] == counts.tolist()
    assert len(np.unique(counts_T3[:, 0])) > 2
