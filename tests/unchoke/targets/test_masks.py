"""On which chunks a band of a mask depends, and the files of masks."""

from hypothesis import given
from hypothesis import strategies as st
from small_configs import mask_config

from unchoke.images.grid import Grid
from unchoke.targets.masks import (
    MOST_IMAGES_PER_JOB,
    Masks,
    band_files,
    batch_files,
    mask_files,
    mask_receipt,
    prediction_files,
)

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


def test_images_share_jobs_in_the_order_of_their_ids_and_large_ones_share_none():
    """In the file ids are ordered as texts: 10 stands before 9."""
    heights = {"10": 3, "11": 5, "7": 4, "8": 11, "9": 6}
    grids = {image: {"height": height, "width": 10, "first": 0, "split": "val"} for image, height in heights.items()}
    found = Masks(mask_config(segment={"pixels_per_job": 100}), grids)
    assert (found.batches, found.apart) == ([["7", "9"], ["10", "11"]], ["8"])
    more = Masks(mask_config(segment={"pixels_per_job": 100}), grids | {"12": grids["7"]})
    assert more.batches == [["7", "9"], ["10", "11"], ["12"]]
    alone = Masks(mask_config(segment={"pixels_per_job": 0}), grids)
    assert (alone.batches, alone.apart) == ([], list(heights))


@given(st.lists(st.tuples(sides, sides), max_size=12), st.integers(0, 90_000))
def test_an_image_is_in_one_batch_or_has_jobs_of_its_own(many, most_px):
    grids = {str(n): {"height": h, "width": w, "first": 0, "split": "val"} for n, (h, w) in enumerate(many)}
    masks = Masks(mask_config(segment={"pixels_per_job": most_px}), grids)
    together = [image for batch in masks.batches for image in batch]
    assert sorted([*together, *masks.apart], key=int) == list(grids)
    for batch in masks.batches:
        assert batch and sum(grids[image]["height"] * grids[image]["width"] for image in batch) <= most_px


def test_the_images_of_a_batch_are_few_enough_to_stand_in_a_command():
    grids = {str(n): {"height": 1, "width": 1, "first": n, "split": "val"} for n in range(2 * MOST_IMAGES_PER_JOB + 1)}
    assert [len(batch) for batch in Masks(mask_config(), grids).batches] == [MOST_IMAGES_PER_JOB] * 2 + [1]


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
    assert batch_files("tiny", "linear", [2]) == ["<results>/stitched/tiny/linear/batches/2.json"]
    assert mask_receipt("tiny", "linear", "7") == "<results>/receipts/finish_mask/tiny/linear/7.json"
    assert mask_files("tiny", "linear", "7") == [
        "<results>/stitched/tiny/linear/7.zarr/zarr.json",
        "<results>/stitched/tiny/linear/7.png",
        "<results>/stitched/tiny/linear/7.json",
    ]
