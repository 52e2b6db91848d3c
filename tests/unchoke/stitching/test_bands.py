"""Stitching undoes tiling, agrees with the whole image at once, and gives the same bits in any order of patches."""

import tracemalloc

import numpy as np
import pytest
from cut_patches import cut_patch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve
from scipy.signal.windows import gaussian

from unchoke.errors import UnchokeError
from unchoke.images.grid import Grid
from unchoke.stitching.bands import Band, kept, stitch_rows
from unchoke.stitching.blends import gaussian_weights, likeliest

lengths = st.integers(1, 60)
sizes_and_overlaps = st.integers(1, 20).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size // 2)))
grids = st.builds(lambda height, width, sides: Grid(height, width, *sides), lengths, lengths, sizes_and_overlaps)
class_counts = st.integers(2, 4)
BLENDS = ("crop", "gaussian")
blends = st.sampled_from(BLENDS)
dtypes = st.sampled_from([np.float16, np.float32])
few = settings(max_examples=50, deadline=None)


def draw_probabilities(grid, n_classes, dtype=np.float32, seed=0):
    """For every patch (K, S, S), summing to 1."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(n_classes), (grid.count, grid.size, grid.size)).transpose(0, 3, 1, 2).astype(dtype)


def bands_of(grid, probabilities, blend, order=None):
    """Every band of an image, its patches added in `order`."""
    n_classes = probabilities[0].shape[0]
    bands = [Band(grid, n_classes, number, blend, keep_probabilities=True) for number in range(grid.band_count)]
    for place in range(grid.count) if order is None else order:
        for band in bands:
            if place in band.places:
                band.add(place, probabilities[place])
    return bands


def in_rows(grid, probabilities):
    return ([probabilities[place] for place in grid.row(row)] for row in range(grid.rows))


def windows(grid):
    """Of each patch what lies in the image: where there, and where in the patch."""
    for place in range(grid.count):
        y0, x0, height, width = grid.patch(place)
        yield place, np.s_[..., y0 : y0 + height, x0 : x0 + width], np.s_[..., :height, :width]


def averaged(grid, probabilities):
    """float64 (K, H, W): the weighted mean over all patches, on the whole image at once."""
    weight_S = gaussian(grid.size, grid.size / 8)
    sum_KHW = np.zeros((probabilities[0].shape[0], grid.height, grid.width))
    weight_HW = np.zeros((grid.height, grid.width))
    for place, window, part in windows(grid):
        sum_KHW[window] += (probabilities[place] * np.outer(weight_S, weight_S))[part]
        weight_HW[window] += np.outer(weight_S, weight_S)[part]
    return sum_KHW / weight_HW


def owned(grid, probabilities):
    """(K, H, W): each pixel from the patch whose step it lies in when the grid is shifted by the halo."""
    y_H, x_W = np.arange(grid.height), np.arange(grid.width)
    row_H = np.clip((y_H - grid.halo) // grid.step, 0, grid.rows - 1)
    column_W = np.clip((x_W - grid.halo) // grid.step, 0, grid.columns - 1)
    place_HW = row_H[:, None] * grid.columns + column_W
    picked = probabilities[place_HW, :, (y_H - row_H * grid.step)[:, None], x_W - column_W * grid.step]
    return np.moveaxis(picked, -1, 0)


@few
@given(grids, class_counts, blends, dtypes)
def test_stitching_undoes_tiling(grid, n_classes, blend, dtype):
    label_HW = np.random.default_rng(1).integers(0, n_classes, (grid.height, grid.width), np.uint8)
    cut = np.stack([cut_patch(label_HW, grid, place) for place in range(grid.count)])
    probabilities = np.moveaxis(np.eye(n_classes, dtype=dtype)[cut], -1, 1)
    found_HW = np.concatenate(list(stitch_rows(in_rows(grid, probabilities), grid, n_classes, blend)))
    assert found_HW.dtype == np.uint8
    assert np.array_equal(found_HW, label_HW)
    bands = bands_of(grid, probabilities, blend)
    assert np.array_equal(
        np.concatenate([band.probabilities() for band in bands], 1), np.moveaxis(np.eye(n_classes)[label_HW], -1, 0)
    )
    assert all(band.disagreement()[0] == 0 for band in bands)


@given(grids)
def test_what_patches_keep_covers_the_image_once_and_lies_inside_them(grid):
    covered_HW = np.zeros((grid.height, grid.width), int)
    for place, window, _ in windows(grid):
        covered_HW[kept(grid, place)] += 1
        inside_HW = np.zeros_like(covered_HW)
        inside_HW[window] = 1
        assert inside_HW[kept(grid, place)].all()
    assert (covered_HW == 1).all()


@given(grids)
def test_what_patches_keep_is_a_halo_away_from_every_border_but_the_images(grid):
    for place in range(grid.count):
        (rows, columns), patch = kept(grid, place), grid.patch(place)
        assert rows.start - patch.y0 >= grid.halo or rows.start == 0
        assert patch.y0 + grid.size - rows.stop >= grid.halo or rows.stop == grid.height
        assert columns.start - patch.x0 >= grid.halo or columns.start == 0
        assert patch.x0 + grid.size - columns.stop >= grid.halo or columns.stop == grid.width


@given(grids)
def test_bands_cover_the_rows_once_and_know_the_patches_that_reach_into_them(grid):
    rows = [row for band in range(grid.band_count) for row in range(*grid.band_rows(band))]
    assert rows == list(range(grid.height))
    for band in range(grid.band_count):
        first, stop = grid.band_rows(band)
        patches = [grid.patch(place) for place in range(grid.count)]
        reach = [number for number, p in enumerate(patches) if p.y0 < stop and p.y0 + p.height > first]
        assert grid.band_places(band) == reach


@given(st.integers(1, 300))
def test_weights_are_a_gaussian_above_zero_with_one_in_the_middle(size):
    weight_S = gaussian(size, size / 8) / gaussian(size, size / 8).max()
    found_SS = gaussian_weights(size)
    assert found_SS.dtype == np.float32
    assert found_SS.min() > 1e-7
    assert found_SS.max() == 1
    np.testing.assert_allclose(found_SS, np.outer(weight_S, weight_S), rtol=1e-6)


@few
@given(grids, class_counts, dtypes)
def test_gaussian_bands_are_the_weighted_mean_over_the_whole_image(grid, n_classes, dtype):
    probabilities = draw_probabilities(grid, n_classes, dtype)
    expected_KHW = averaged(grid, probabilities)
    bands = bands_of(grid, probabilities, "gaussian")
    np.testing.assert_allclose(np.concatenate([band.probabilities() for band in bands], 1), expected_KHW, 6e-4, 1e-6)
    label_HW = np.concatenate([band.labels() for band in bands])
    second_HW, first_HW = np.sort(expected_KHW, 0)[-2:]
    clear_HW = first_HW - second_HW > 1e-6  # float32 may decide the rest either way
    assert clear_HW.mean() > 0.9
    assert np.array_equal(label_HW[clear_HW], expected_KHW.argmax(0)[clear_HW])


@few
@given(grids, class_counts, dtypes)
def test_cropped_bands_take_every_pixel_from_its_own_patch(grid, n_classes, dtype):
    probabilities = draw_probabilities(grid, n_classes, dtype)
    expected_KHW = owned(grid, probabilities)
    bands = bands_of(grid, probabilities, "crop")
    assert np.array_equal(np.concatenate([band.labels() for band in bands]), expected_KHW.argmax(0))
    assert np.array_equal(np.concatenate([band.probabilities() for band in bands], 1), expected_KHW.astype(np.float16))


@few
@given(grids, class_counts, blends)
def test_disagreement_counts_the_pixels_for_which_patches_name_different_classes(grid, n_classes, blend):
    probabilities = draw_probabilities(grid, n_classes)
    votes_KHW = np.zeros((n_classes, grid.height, grid.width), int)
    for place, window, part in windows(grid):
        votes_KHW[window] += np.eye(n_classes, dtype=int)[:, probabilities[place].argmax(0)][part]
    for number, band in enumerate(bands_of(grid, probabilities, blend)):
        rows = slice(*grid.band_rows(number))
        differing = ((votes_KHW[:, rows] > 0).sum(0) > 1).sum()
        assert band.disagreement() == (differing, (votes_KHW[:, rows].sum(0) > 1).sum())


@few
@given(grids, class_counts, blends, st.randoms(use_true_random=False))
def test_patches_in_any_order_give_the_same_bits(grid, n_classes, blend, random):
    probabilities = draw_probabilities(grid, n_classes)
    order = random.sample(range(grid.count), grid.count)
    both = [bands_of(grid, probabilities, blend, places) for places in (None, order)]
    for plain, shuffled in zip(*both, strict=True):
        assert plain.labels().tobytes() == shuffled.labels().tobytes()
        assert plain.probabilities().tobytes() == shuffled.probabilities().tobytes()
        assert plain.disagreement() == shuffled.disagreement()


def balanced(grid):
    """Two classes that come out even wherever four patches overlap, so that rounding alone decides there."""
    weight_SS = gaussian_weights(grid.size).astype(float)
    probabilities = draw_probabilities(grid, 2)
    probabilities[:, 0] = 0
    left_HW = np.zeros((grid.height, grid.width))
    for last in (False, True):  # the patches of odd row and column make up for the three others
        for place, window, part in windows(grid):
            row, column = divmod(place, grid.columns)
            if last and row % 2 and column % 2:
                probabilities[place, 1][part] = -left_HW[window] / weight_SS[part]
            elif not last and not (row % 2 and column % 2):
                left_HW[window] += weight_SS[part] * probabilities[place, 1][part]
    return probabilities


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_patches_decides_no_tie(seed):
    grid = Grid(70, 70, 16, 8)
    probabilities, order = balanced(grid), np.random.default_rng(seed).permutation(grid.count)
    for plain, shuffled in zip(
        *(bands_of(grid, probabilities, "gaussian", places) for places in (None, order)), strict=True
    ):
        assert plain.labels().tobytes() == shuffled.labels().tobytes()


@few
@given(grids, class_counts, blends)
def test_asking_twice_gives_the_same_answer(grid, n_classes, blend):
    for band in bands_of(grid, draw_probabilities(grid, n_classes), blend):
        first = band.labels().tobytes(), band.probabilities().tobytes()
        assert (band.labels().tobytes(), band.probabilities().tobytes()) == first


@few
@given(grids, blends, st.data())
def test_a_band_that_lacks_a_patch_gives_no_answer(grid, blend, data):
    probabilities = draw_probabilities(grid, 2)
    lacking = data.draw(st.integers(0, grid.count - 1))
    order = [place for place in range(grid.count) if place != lacking]
    for band in bands_of(grid, probabilities, blend, order):
        if lacking in band.places:
            for question in (band.labels, band.probabilities, band.disagreement):
                with pytest.raises(UnchokeError, match=f"without number {lacking} of the image"):
                    question()


@pytest.mark.parametrize("blend", BLENDS)
def test_the_error_names_the_first_pixel_that_lacks_its_patch(blend):
    grid = Grid(30, 40, 16, 4)
    with pytest.raises(UnchokeError, match=r"row 12, column 24 of the image"):
        bands_of(grid, draw_probabilities(grid, 2), blend, [0, 1, 2, 3, 4, *range(6, grid.count)])[1].labels()


def test_a_row_of_patches_that_never_comes_gives_no_mask():
    grid = Grid(40, 40, 16, 4)
    rows = list(in_rows(grid, draw_probabilities(grid, 2)))[:-1]
    with pytest.raises(ValueError, match="shorter"):
        list(stitch_rows(rows, grid, 2, "gaussian"))


def test_a_patch_given_twice_or_to_another_band_is_refused():
    grid = Grid(40, 40, 16, 4)
    probabilities = draw_probabilities(grid, 2)
    band = Band(grid, 2, 0, "gaussian")
    band.add(0, probabilities[0])
    for place in (0, grid.row(1)[0]):
        with pytest.raises(KeyError):
            band.add(place, probabilities[place])


@given(st.integers(1, 254), st.sampled_from([2, 200]))
def test_the_likeliest_class_is_the_first_of_equals(n_classes, levels):
    value_KHW = np.random.default_rng(n_classes).integers(0, levels, (n_classes, 5, 7)).astype(np.float32)
    assert np.array_equal(likeliest(value_KHW[0], value_KHW[1:]), value_KHW.argmax(0))


def convolved(image_HW, radius):
    """A network's stand-in: what it computes near the border is wrong, since it pads with zeros."""
    kernel = np.random.default_rng(3).uniform(0.5, 1, (2 * radius + 1, 2 * radius + 1))
    return convolve(image_HW, kernel, mode="constant")


def crop_and_whole(grid, radius):
    """The convolution patch by patch without halos, and on the whole reflected image."""
    image_HW = np.random.default_rng(2).uniform(0, 1, (grid.height, grid.width))
    (height, width) = grid.extent
    padded_HW = np.pad(image_HW, [(0, height - grid.height), (0, width - grid.width)], mode="reflect")
    answer_HW = np.full(image_HW.shape, np.nan)
    for place in range(grid.count):
        rows, columns = kept(grid, place)
        y0, x0, _, _ = grid.patch(place)
        patch_SS = convolved(cut_patch(image_HW, grid, place), radius)
        answer_HW[rows, columns] = patch_SS[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0]
    return answer_HW, convolved(padded_HW, radius)[: grid.height, : grid.width]


halos = st.integers(0, 5)
halos_and_radii = halos.flatmap(lambda halo: st.tuples(st.just(halo), st.integers(0, halo)))


@few
@given(lengths, lengths, halos_and_radii)
def test_cropping_halos_gives_the_whole_images_answer_where_they_hold_the_receptive_field(height, width, halo_radius):
    halo, radius = halo_radius
    grid = Grid(height, width, 20, 2 * halo)
    np.testing.assert_allclose(*crop_and_whole(grid, radius), rtol=0, atol=1e-12)


@pytest.mark.parametrize("halo", [0, 1, 4])
def test_cropping_halos_narrower_than_the_receptive_field_gives_another_answer(halo):
    grid = Grid(50, 55, 20, 2 * halo)
    np.testing.assert_allclose(*crop_and_whole(grid, halo), rtol=0, atol=1e-12)
    found_HW, expected_HW = crop_and_whole(grid, halo + 1)
    assert np.abs(found_HW - expected_HW).max() > 0.01


@pytest.mark.parametrize("blend", BLENDS)
def test_a_band_goes_out_as_soon_as_its_patches_are_there(blend):
    grid, taken = Grid(100, 40, 16, 4), []
    probabilities = draw_probabilities(grid, 2)
    rows = (taken.append(row) or [probabilities[place] for place in grid.row(row)] for row in range(grid.rows))
    for number, _ in enumerate(stitch_rows(rows, grid, 2, blend)):
        assert taken == list(range(min(number + 1, grid.rows)))


def peak_bytes(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("blend", BLENDS)
def test_memory_does_not_grow_with_the_images_height(blend):
    patch_KSS = draw_probabilities(Grid(64, 64, 64, 16), 2)[0]

    def stitch(height):
        grid = Grid(height, 1000, 64, 16)
        rows = ([patch_KSS] * grid.columns for _ in range(grid.rows))
        for _ in stitch_rows(rows, grid, 2, blend):
            pass

    assert peak_bytes(lambda: stitch(4000)) < 1.02 * peak_bytes(lambda: stitch(1000))


def test_cropping_without_probabilities_holds_no_plane_of_any_class():
    grid = Grid(64, 1000, 64, 16)
    plane_bytes = grid.step * grid.width
    assert peak_bytes(lambda: Band(grid, 254, 0, "crop")) < 4 * plane_bytes


@pytest.mark.parametrize("blend", BLENDS)
def test_probabilities_that_were_not_kept_are_not_made_up(blend):
    grid = Grid(16, 16, 16, 4)
    band = Band(grid, 2, 0, blend)
    band.add(0, draw_probabilities(grid, 2)[0])
    with pytest.raises(ValueError, match="without keep_probabilities"):
        band.probabilities()


@few
@given(grids, class_counts, blends)
def test_keeping_probabilities_changes_no_label(grid, n_classes, blend):
    probabilities = draw_probabilities(grid, n_classes)
    kept_too = np.concatenate([band.labels() for band in bands_of(grid, probabilities, blend)])
    alone = np.concatenate(list(stitch_rows(in_rows(grid, probabilities), grid, n_classes, blend)))
    assert np.array_equal(kept_too, alone)


@few
@given(grids, class_counts)
def test_probabilities_are_never_negative(grid, n_classes):
    probabilities = draw_probabilities(grid, n_classes) ** 8  # many near 0
    assert all((band.probabilities() >= 0).all() for band in bands_of(grid, probabilities, "gaussian"))
