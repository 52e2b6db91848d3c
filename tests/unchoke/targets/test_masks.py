"""On which chunks a band of a mask depends, and the files of masks."""

from hypothesis import given
from hypothesis import strategies as st
from small_configs import mask_config

from unchoke.images.grid import Grid
from unchoke.targets.masks import Masks, band_files, mask_files, prediction_files

# 100 × 140 px in patches of 64 that overlap by 16: 2 rows of 3, 3 bands. 30 × 40 px: one patch, one band.
GRIDS = {
    "0": {"height": 100, "width": 140, "first": 0, "split": "train"},
    "1": {"height": 30, "width": 40, "first": 6, "split": "val"},
    "2": {"height": 100, "width": 140, "first": 7, "split": "test"},
}
sides = st.integers(1, 300)


def test_bands_depend_on_the_chunks_of_the_rows_of_patches_beside_them():
    """Image 2 has patches 7, 8, 9 and 10, 11, 12, in chunks of 4."""
    masks = Masks(mask_config(), GRIDS)
    assert [masks.bands(image) for image in "012"] == [range(3), range(1), range(3)]
    assert [list(masks.chunks_at("2", band)) for band in masks.bands("2")] == [[1, 2], [1, 2, 3], [2, 3]]
    assert masks.chunks_at("1", "0") == range(1, 2)  # as a wildcard has it


def test_only_images_of_the_splits_that_are_segmented_are():
    masks = Masks(mask_config(segment={"splits": ["val", "test"]}), GRIDS)
    assert (masks.images, masks.chunks) == (["1", "2"], [1, 2, 3])
    assert Masks(mask_config(segment={"splits": ["train", "val", "test"]}), GRIDS).chunks == [0, 1, 2, 3]


@given(sides, sides, st.integers(0, 50))
def test_a_band_waits_for_every_patch_that_reaches_into_it(height, width, first):
    config = mask_config()
    masks = Masks(config, {"0": {"height": height, "width": width, "first": first, "split": "val"}})
    grid = Grid(height, width, 64, 16)
    for band in masks.bands("0"):
        needed = {(first + place) // 4 for place in grid.band_places(band)}
        assert needed <= set(masks.chunks_at("0", band)) <= set(masks.chunks)


def test_the_files_of_masks():
    assert prediction_files("tiny", "linear", [3]) == [
        "<results>/predictions/tiny/linear.zarr/probability/c/3/0/0/0",
    ]
    assert band_files("tiny", "linear", "7", range(1, 3)) == [
        "<results>/stitched/tiny/linear/7.zarr/mask/c/1/0",
        "<results>/stitched/tiny/linear/7.zarr/mask/c/2/0",
    ]
    assert mask_files("tiny", "linear", "7") == [
        "<results>/stitched/tiny/linear/7.zarr/zarr.json",
        "<results>/stitched/tiny/linear/7.png",
        "<results>/stitched/tiny/linear/7.json",
    ]
