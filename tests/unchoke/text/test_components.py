"""Regions from bands are those of the whole map, as SciPy labels it; memory holds one band and open regions."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from unchoke.text.components import components

maps = st.tuples(st.integers(1, 12), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, np.nan]))
)
RING = np.float32(0.75) * np.pad(np.pad(np.zeros((5, 4), np.float32), 1, constant_values=1), 1)
E_ON_ITS_SIDE = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], np.float32)
HOOK = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]], np.float32)
"""Two regions of the first three rows, one in the bounding box of the other, which the fourth row joins."""


def cut(map_HW: NDArray[Any], heights: list[int]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Bands of these heights, again and again."""
    y0 = 0
    while y0 < len(map_HW):
        for height in heights:
            if y0 < len(map_HW):
                yield y0, map_HW[y0 : y0 + height]
                y0 += height


@given(maps, st.lists(st.integers(1, 5), min_size=1, max_size=4))
@example(RING, [1])
@example(E_ON_ITS_SIDE, [1])
@example(HOOK, [3, 1])
def test_regions_of_bands_are_those_of_the_whole_map(map_HW: NDArray[Any], heights: list[int]) -> None:
    label_HW, count = label(map_HW > 0.4, np.ones((3, 3)))
    expected = {tuple(map(tuple, np.argwhere(label_HW == number))) for number in range(1, count + 1)}
    found = set()
    for component in components(cut(map_HW, heights), 0.4):
        mask_HW, probability_HW = component.pixels()
        found.add(tuple(map(tuple, np.argwhere(mask_HW) + np.array([component.y0, component.x0]))))
        inside_HW = binary_fill_holes(mask_HW)
        whole_HW = map_HW[component.y0 : component.y1, component.x0 : component.x1]
        np.testing.assert_array_equal(probability_HW[inside_HW], whole_HW[inside_HW])
        assert mask_HW.any(0).all() and mask_HW.any(1).all()
    assert found == expected


def test_a_region_ends_as_soon_as_a_band_has_nothing_of_it() -> None:
    bands = [(0, np.ones((2, 3))), (2, np.ones((2, 3))), (4, np.zeros((2, 3)))]
    seen: list[int] = []

    def read() -> Iterator[tuple[int, NDArray[Any]]]:
        for y0, band in [*bands, (6, np.zeros((2, 3)))]:
            seen.append(y0)
            yield y0, band

    component = next(components(read(), 0.5))
    assert (seen, component.y0, component.y1) == ([0, 2, 4], 0, 4)


def test_memory_does_not_grow_with_the_height_of_the_map() -> None:
    band = np.zeros((50, 400), np.float32)
    band[:10, 20:60] = band[45:, 20:60] = 1  # one word crosses each border
    tracemalloc.start()
    count = sum(1 for _ in components(((50 * place, band) for place in range(400)), 0.5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 401
    assert peak < 3e6  # the map has 32 MB


@pytest.mark.parametrize("heights", [[30], [4]])
def test_of_a_region_beyond_the_most_pixels_the_box_alone_is_kept(heights: list[int]) -> None:
    map_HW = np.zeros((30, 20))
    map_HW[1:29, 3] = map_HW[28, 3:9] = 1  # a box of 28 × 6
    map_HW[2:4, 12:15] = 1
    [small, large] = sorted(components(cut(map_HW, heights), 0.5, most_px=28 * 6 - 1), key=lambda found: -found.x0)
    assert (len(small.pieces), large.pieces) == (1, ())
    assert (large.y0, large.x0, large.y1, large.x1) == (1, 3, 29, 9)
    assert all(found.pieces for found in components(cut(map_HW, heights), 0.5, most_px=28 * 6))


@pytest.mark.parametrize("second", [(3, np.ones((1, 4))), (2, np.ones((1, 5))), (2, np.ones((0, 4)))])
def test_bands_that_do_not_follow_each_other_are_refused(second: tuple[int, NDArray[Any]]) -> None:
    with pytest.raises(ValueError, match="expected one of width 4 at row 2"):
        list(components([(0, np.ones((2, 4))), second], 0.5))
