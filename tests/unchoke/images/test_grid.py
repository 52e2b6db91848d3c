"""Patches lie on a grid, cover their image, and see it reflected beyond its border."""

import numpy as np
import pytest
from cut_patches import cut_patch
from hypothesis import given
from hypothesis import strategies as st

from unchoke.images.grid import Grid

lengths = st.integers(1, 70)
sizes_and_overlaps = st.integers(1, 24).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size // 2)))
grids = st.builds(lambda height, width, sides: Grid(height, width, *sides), lengths, lengths, sizes_and_overlaps)


def patches(grid):
    return [grid.patch(place) for place in range(grid.count)]


@given(grids, st.sampled_from([(), (3,)]))
def test_a_patch_is_a_window_of_the_whole_image_reflected(grid, channels):
    shape = grid.height, grid.width, *channels
    image_HWx = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    (height, width), axes = grid.extent, len(channels)
    whole_HWx = np.pad(
        image_HWx, [(0, height - grid.height), (0, width - grid.width), *[(0, 0)] * axes], mode="reflect"
    )
    for place, patch in enumerate(patches(grid)):
        found = cut_patch(image_HWx, grid, place)
        assert found.dtype == np.uint8
        assert np.array_equal(found, whole_HWx[patch.y0 : patch.y0 + grid.size, patch.x0 : patch.x0 + grid.size])


@given(grids)
def test_patches_are_numbered_row_by_row_on_multiples_of_the_step(grid):
    offsets = [(patch.y0, patch.x0) for patch in patches(grid)]
    assert offsets == [(r * grid.step, c * grid.step) for r in range(grid.rows) for c in range(grid.columns)]
    assert [place for row in range(grid.rows) for place in grid.row(row)] == list(range(grid.count))


@given(grids)
def test_patches_cover_the_image_and_say_how_much_of_it_they_hold(grid):
    covered_HW = np.zeros((grid.height, grid.width), int)
    for patch in patches(grid):
        window_HW = covered_HW[patch.y0 : patch.y0 + grid.size, patch.x0 : patch.x0 + grid.size]
        assert window_HW.shape == (patch.height, patch.width)
        window_HW += 1
    assert covered_HW.min() == 1 or grid.step == grid.overlap
    assert 1 <= covered_HW.min() <= covered_HW.max() <= 4


@given(grids)
def test_no_row_or_column_of_patches_is_idle(grid):
    """Without the last one, a pixel of the image would have no patch."""
    last = patches(grid)[-1]
    assert grid.rows == 1 or last.y0 + grid.overlap < grid.height
    assert grid.columns == 1 or last.x0 + grid.overlap < grid.width


@pytest.mark.parametrize(
    ("length", "expected"), [(1, 1), (256, 1), (257, 2), (448, 2), (449, 3), (4096, 21), (20_000, 104)]
)
def test_the_usual_patches_along_a_side(length, expected):
    assert Grid(length, 1, 256, 64).rows == Grid(1, length, 256, 64).columns == expected


@given(grids, st.integers(1, 200))
def test_an_image_that_grows_downwards_keeps_its_patches(grid, more):
    taller = Grid(grid.height + more, grid.width, grid.size, grid.overlap)
    assert [patch[:2] for patch in patches(taller)][: grid.count] == [patch[:2] for patch in patches(grid)]


def test_the_bands_of_an_image_and_the_patches_in_them():
    """100 px in steps of 48: patches from rows 0 and 48, the second down to row 112, and so the last 4 rows too."""
    grid = Grid(100, 140, 64, 16)
    assert (grid.rows, grid.columns, grid.band_count) == (2, 3, 3)
    assert [grid.band_rows(band) for band in range(3)] == [(0, 48), (48, 96), (96, 100)]
    assert [grid.covered_px(band) for band in range(3)] == [{0: 48}, {0: 16, 1: 48}, {1: 4}]
    assert [grid.band_places(band) for band in range(3)] == [[0, 1, 2], [0, 1, 2, 3, 4, 5], [3, 4, 5]]


def test_patches_without_overlap_reach_into_their_own_band_alone():
    grid = Grid(100, 64, 64, 0)
    assert [list(grid.rows_at(band)) for band in range(grid.band_count)] == [[0], [0, 1]]
    assert [grid.band_places(band) for band in range(grid.band_count)] == [[0], [1]]
