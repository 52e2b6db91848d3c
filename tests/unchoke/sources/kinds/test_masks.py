"""Sources of images with masks pair each image with its own mask, and the demo's canvases are what they promise."""

import csv
import os

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, label

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images.windows import image_size, open_image, open_mask
from unchoke.sources.kinds import canvases, masks
from unchoke.sources.kinds.canvases import write_canvases
from unchoke.sources.source import list_images, listing_digest, prerequisites

PIXELS = len(b"pixels")


def labels(listing):
    return {image.path: image.label for image in listing.images}


def mask_paths(found):
    return {image: mask.path for image, mask in found.items()}


def write_rows(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


# --- folder


def test_a_mask_belongs_to_the_image_of_its_name_whatever_the_endings(tmp_path, place):
    place(tmp_path, "images/a.jpg", "images/deep/er/b.c.TIF", "images/none.png", "masks/a.png", "masks/deep/er/b.c.png")
    assert labels(list_images("masks", tmp_path)) == {
        "images/a.jpg": "mask",
        "images/deep/er/b.c.TIF": "mask",
        "images/none.png": "",
    }
    assert mask_paths(masks.list_masks(tmp_path)) == {
        "images/a.jpg": "masks/a.png",
        "images/deep/er/b.c.TIF": "masks/deep/er/b.c.png",
    }


def test_the_same_name_in_another_folder_is_another_image(tmp_path, place):
    place(tmp_path, "images/x/a.png", "images/y/a.png", "masks/y/a.png")
    assert mask_paths(masks.list_masks(tmp_path)) == {"images/y/a.png": "masks/y/a.png"}


def test_size_and_time_are_those_of_the_files(tmp_path, place):
    place(tmp_path, "images/a.png", "masks/a.png")
    os.utime(tmp_path / "images/a.png", ns=(5, 1_234_567_890_123_456_789))
    os.utime(tmp_path / "masks/a.png", ns=(5, 987_654_321))
    (tmp_path / "masks/a.png").write_bytes(b"more pixels")
    os.utime(tmp_path / "masks/a.png", ns=(5, 987_654_321))
    (image,) = list_images("masks", tmp_path).images
    assert image == ("images/a.png", "mask", "", "", PIXELS, 1_234_567_890_123_456_789)
    assert masks.list_masks(tmp_path) == {"images/a.png": ("masks/a.png", len(b"more pixels"), 987_654_321)}


def test_masks_without_an_image_and_other_files_are_left_out_and_counted(tmp_path, place):
    place(tmp_path, "images/a.png", "images/notes.txt", "masks/a.png", "masks/b.png", "masks/c.png", "masks/more.txt")
    listing = list_images("masks", tmp_path)
    assert labels(listing) == {"images/a.png": "mask"}
    assert listing.left_out == {"mask without image": 2, ".txt": 2}


def test_nothing_is_left_out_where_every_mask_has_its_image(tmp_path, place):
    assert not list_images("masks", place(tmp_path, "images/a.png", "masks/a.png")).left_out


def test_folders_in_images_that_are_named_as_splits_are_splits(tmp_path, place):
    place(tmp_path, "images/train/a.png", "images/valid/b.png", "images/test/x/c.png", "masks/train/a.png")
    splits = {image.path: image.split for image in list_images("masks", tmp_path).images}
    assert splits == {"images/train/a.png": "train", "images/valid/b.png": "val", "images/test/x/c.png": "test"}


def test_a_group_is_what_its_pattern_finds_below_the_folder(tmp_path, place):
    place(tmp_path, "images/slide_7/a.png", "images/slide_12/b.png", "masks/slide_7/a.png")
    groups = {image.path: image.group for image in list_images("masks", tmp_path, r"^images/slide_(\d+)").images}
    assert groups == {"images/slide_7/a.png": "7", "images/slide_12/b.png": "12"}
    with pytest.raises(UnchokeError, match=r"images/slide_"):
        list_images("masks", tmp_path, "patient")


@pytest.mark.parametrize(
    ("names", "problem", "both"),
    [
        (["images/a.png", "masks/a.png", "masks/a.tif"], "two masks for one image", ["'a.png'", "'a.tif'"]),
        (["images/x/a.png", "images/x/a.JPG", "masks/b.png"], "two images for one mask", ["'x/a.png'", "'x/a.JPG'"]),
    ],
)
def test_two_files_of_one_name_are_named(tmp_path, place, names, problem, both):
    with pytest.raises(UnchokeError, match=problem) as caught:
        list_images("masks", place(tmp_path, *names))
    assert all(name in str(caught.value) for name in both)


@pytest.mark.parametrize(
    ("names", "problem", "do"),
    [
        (["image/a.png", "masks/a.png"], "no folder images/", "rename image/ to images/"),
        (["images/a.png", "Masks/a.png"], "no folder masks/", "rename Masks/ to masks/"),
        (["images/a.png"], "no folder masks/", r"check dataset\.path"),
        (["a.png"], "no folder images/", r"found: +no folder"),
    ],
)
def test_a_missing_folder_is_named_with_the_nearest(tmp_path, place, names, problem, do):
    with pytest.raises(UnchokeError, match=problem) as caught:
        list_images("masks", place(tmp_path, *names))
    assert caught.match(do)
    assert str(tmp_path) in str(caught.value)


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnchokeError, match=r"dataset\.path") as caught:
        list_images("masks", tmp_path / "gone")
    assert str(tmp_path / "gone") in str(caught.value)


def test_the_digest_moves_with_an_image_and_with_its_being_masked(tmp_path, place):
    place(tmp_path, "images/a.png", "masks/b.png")
    digests = [listing_digest("masks", tmp_path)]
    (tmp_path / "masks/b.png").rename(tmp_path / "masks/a.png")
    digests.append(listing_digest("masks", tmp_path))
    os.utime(tmp_path / "images/a.png", ns=(0, 1))
    digests.append(listing_digest("masks", tmp_path))
    assert len(set(digests)) == 3


# --- csv


def test_a_csv_names_the_mask_of_every_image_that_has_one(tmp_path, place):
    place(tmp_path, "x/1.png", "y/one.tif")
    table = write_rows(
        tmp_path / "images.csv",
        ["mask", "path", "split", "group"],
        ["y/one.tif", "x/1.png", "train", "p1"],
        ["", "x/2.png", "", ""],
        ["y/gone.tif", "x/3.png", "Test", "p2"],
    )
    listing = list_images("masks", table)
    assert [image[:5] for image in listing.images] == [
        ("x/1.png", "mask", "train", "p1", PIXELS),
        ("x/2.png", "", "", "", -1),
        ("x/3.png", "mask", "test", "p2", -1),
    ]
    assert listing.root == tmp_path
    found = masks.list_masks(table)
    assert found == {
        "x/1.png": ("y/one.tif", PIXELS, (tmp_path / "y/one.tif").stat().st_mtime_ns),
        "x/3.png": ("y/gone.tif", -1, 0),
    }


def test_the_group_may_be_another_column(tmp_path):
    table = write_rows(tmp_path / "images.csv", ["path", "mask", "patient"], ["1.png", "2.png", "p"])
    assert [image.group for image in list_images("masks", table, "patient").images] == ["p"]


def test_a_csv_without_a_column_of_masks_is_refused(tmp_path):
    table = write_rows(tmp_path / "images.csv", ["path", "masks"], ["1.png", "2.png"])
    with pytest.raises(UnchokeError, match="rename 'masks' to 'mask'") as caught:
        list_images("masks", table)
    assert "path, mask and" in str(caught.value)


def test_an_image_that_stands_twice_is_named(tmp_path):
    table = write_rows(tmp_path / "images.csv", ["path", "mask"], ["1.png", "2.png"], ["./1.png", "3.png"])
    with pytest.raises(UnchokeError, match="twice"):
        list_images("masks", table)


# --- canvases


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("canvases")
    write_canvases(folder)
    return folder


def sound(folder):
    """Pixels of each canvas and of its mask, of those that are not flawed."""
    for number in range(canvases.SOUND):
        pair = [np.asarray(Image.open(folder / name / f"{number:03d}.png")) for name in ("images", "masks")]
        yield pair[0], pair[1]


def test_there_are_26_canvases_each_with_a_mask(demo):
    listing = list_images("canvases", demo)
    assert len(listing.images) == 26
    assert {image.label for image in listing.images} == {"mask"}
    assert list(canvases.list_masks(demo)) == [image.path for image in listing.images]
    assert not listing.left_out


def test_24_canvases_are_sound(demo):
    for grey_HW, mask_HW in sound(demo):
        assert grey_HW.shape == mask_HW.shape == (512, 640)
        assert np.unique(mask_HW).tolist() == [0, 1]
        assert 0.01 <= mask_HW.mean() <= 0.40


def test_no_threshold_finds_the_digits(demo):
    for grey_HW, mask_HW in sound(demo):
        digit_HW = mask_HW > 0
        for threshold in range(0, 256, 8):
            for found_HW in (grey_HW > threshold, grey_HW <= threshold):
                assert (found_HW & digit_HW).sum() < 0.35 * (found_HW | digit_HW).sum()


def test_canvases_hold_six_to_twelve_digits(demo):
    # Strokes of one digit may lie apart, and digits side by side may touch when thickened: bounds, not counts.
    for _, mask_HW in sound(demo):
        assert label(mask_HW, np.ones((3, 3)))[1] >= 6
        assert label(binary_dilation(mask_HW, iterations=4))[1] <= 12


def test_the_planted_canvases_are_flawed_as_promised(demo):
    assert image_size(demo / "images/other-size.png") == (512, 640)
    assert image_size(demo / "masks/other-size.png") == (256, 320)
    open_mask(demo / "masks/cut-short.png", 10**6)
    assert image_size(demo / "images/cut-short.png") == (512, 640)
    with pytest.raises(UnreadableImageError, match="broken image"):
        open_image(demo / "images/cut-short.png", 10**6)


def contents_and_times(folder):
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*/*")}


def test_writing_the_canvases_again_gives_the_same_bytes_and_times(demo, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/000.png").write_bytes(b"damaged")
    write_canvases(tmp_path)
    assert len(contents_and_times(demo)) == 52
    assert contents_and_times(tmp_path) == contents_and_times(demo)
    assert (tmp_path / "canvases.json").read_bytes() == (demo / "canvases.json").read_bytes()


def test_the_record_comes_first_for_a_rule_and_the_digest_before_the_files(demo, tmp_path):
    assert prerequisites("canvases", demo) == [str(demo / "canvases.json")]
    assert prerequisites("masks", demo) == []
    assert listing_digest("canvases", tmp_path / "gone") == listing_digest("canvases", demo)


def test_the_canvases_are_not_written_among_other_things(tmp_path, place):
    with pytest.raises(UnchokeError, match=r"images/mine\.png"):
        write_canvases(place(tmp_path, "images/mine.png"))
    assert os.listdir(tmp_path) == ["images"]
