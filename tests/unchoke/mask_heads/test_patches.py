"""Mask heads read the patches of their split, of images that were read throughout, and each with its own label."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from small_patches import (
    PER_CHUNK,
    SIDES,
    SIZE,
    build,
    cut_by_hand,
    manifest_of,
    patches_of,
    random_mask,
    rows_of,
    write_pair,
    write_pairs,
    write_picture,
)

from unchoke.errors import UnchokeError
from unchoke.features.labels import MaskSettings, cut_masks
from unchoke.hashing import sha256_bytes
from unchoke.mask_heads.patches import CachedPatches, PixelPatches, split_patches
from unchoke.store import chunks
from unchoke.store.read import FeatureStore, open_complete
from unchoke.store.seal import seal_store

CLASSES = {"background": [0], "thing": [255]}
CHANNELS = {"s4": (2, 16), "s8": (3, 8)}


def maps_of(patch_id: int) -> dict[str, NDArray[np.float16]]:
    rng = np.random.default_rng(patch_id)
    return {name: rng.normal(size=(width, side, side)).astype(np.float16) for name, (width, side) in CHANNELS.items()}


def write_maps(folder: Path, unread: tuple[int, ...] = ()) -> FeatureStore:
    """A sealed store of random maps; images in `unread` were not read."""
    out = folder / "out"
    for chunk in range(len(list((out / "rows").iterdir()))):
        rows = rows_of(out, chunk)
        arrays = {n: np.zeros((PER_CHUNK, width, side, side), np.float16) for n, (width, side) in CHANNELS.items()}
        for place, patch_id in enumerate(rows["patch_id"]):
            for name, values in maps_of(patch_id).items():
                arrays[name][place] = values
        bad = sorted(set(rows["image_id"]) & set(unread))
        record = {
            "rows_sha256": sha256_bytes((out / f"rows/{chunk}.csv").read_bytes()),
            "settings": {"chunk_size": PER_CHUNK},
            "invalid": [{"image_id": image, "reason": "broken"} for image in bad],
        }
        chunks.write_chunk(folder / "maps.zarr", chunk, {**arrays, "valid": np.ones(PER_CHUNK, bool)}, record)
    seal_store(folder / "maps.zarr", out / "patches.csv", out / "rows")
    return open_complete(folder / "maps.zarr")


def write_labels(folder: Path) -> FeatureStore:
    out, store = folder / "out", folder / "labels.zarr"
    settings = MaskSettings(SIZE, PER_CHUNK, CLASSES, None, 10**6)
    for chunk in range(len(list((out / "mask_rows").iterdir()))):
        rows = rows_of(out, chunk, "mask_rows")
        cut_masks(store, chunk, rows, out / f"mask_rows/{chunk}.csv", folder, settings)
    seal_store(store, out / "patches.csv", out / "mask_rows")
    return open_complete(store)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder)
    write_pair(folder, "train/more", 70, 70)
    build(folder, folder / "out")
    write_maps(folder)
    write_labels(folder)
    return folder


def split(
    folder: Path, *, pixels: bool = False, unread: tuple[int, ...] | None = None
) -> dict[str, CachedPatches | PixelPatches]:
    if unread is not None:
        write_maps(folder, unread)
    features = None if pixels else open_complete(folder / "maps.zarr")
    labels = open_complete(folder / "labels.zarr")
    return split_patches(features, labels, folder / "out/manifest.csv", folder, 10**6)


def patches_in(folder: Path, name: str) -> pd.DataFrame:
    """The patches of a split by the folder that images lie in, with their path."""
    paths = dict(manifest_of(folder / "out")[["image_id", "path"]].itertuples(index=False))
    patches = patches_of(folder / "out")
    patches["path"] = patches["image_id"].map(paths)
    return patches[patches["path"].str.startswith(f"images/{name}/")].reset_index(drop=True)


def labels_by_hand(folder: Path, patch: Any) -> NDArray[np.uint8]:
    values_HW = np.asarray(Image.open(folder / patch.path.replace("images", "masks")))
    return cut_by_hand(values_HW // 255, patch.y0, patch.x0, mode="constant", constant_values=255)


@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("name", ["train", "val"])
def test_a_split_has_the_patches_of_its_images_with_their_labels(data: Path, name: str, pixels: bool) -> None:
    expected, patches = patches_in(data, name), split(data, pixels=pixels)[name]
    assert len(patches) == len(expected) > 0
    places = np.arange(len(expected))[::-1]
    maps, labels = patches.read(places)
    for row, patch in zip(range(len(places)), expected.iloc[::-1].itertuples(), strict=True):
        np.testing.assert_array_equal(labels[row], labels_by_hand(data, patch))
        if pixels:
            pixels_SS3 = cut_by_hand(np.asarray(Image.open(data / patch.path)), patch.y0, patch.x0)
            np.testing.assert_array_equal(maps["pixels"][row], pixels_SS3.transpose(2, 0, 1))
        else:
            for map_name, values in maps_of(patch.patch_id).items():
                np.testing.assert_array_equal(maps[map_name][row], values)
    assert labels.dtype == np.uint8


def test_cached_patches_know_their_channels_and_strides(data: Path) -> None:
    for patches in split(data).values():
        assert isinstance(patches, CachedPatches)
        assert patches.channels == {"s4": 2, "s8": 3}
        assert patches.strides == {"s4": 4, "s8": 8}


def test_pixels_are_three_channels_of_stride_one(data: Path) -> None:
    for patches in split(data, pixels=True).values():
        assert isinstance(patches, PixelPatches)
        assert (patches.channels, patches.strides) == ({"pixels": 3}, {"pixels": 1})
        assert patches.read(np.zeros(2, np.int64))[0]["pixels"].dtype == np.uint8


def test_no_pixel_of_test_is_read(data: Path) -> None:
    found = split(data)
    assert set(found) == {"train", "val"}
    ids = {int(patch_id) for part in found.values() for patch_id in part.patch_id_N}
    assert ids and not ids & set(patches_in(data, "test")["patch_id"])


def test_rows_come_in_the_order_asked_for_and_as_often(data: Path) -> None:
    store = open_complete(data / "maps.zarr")
    whole = store.features("s4")

    @given(st.lists(st.integers(0, len(whole) - 1), max_size=12))
    def check(places: list[int]) -> None:
        found = store.rows("s4", np.array(places, np.int64))
        np.testing.assert_array_equal(found, whole[np.array(places, np.int64)])

    check()


def test_an_image_that_some_store_could_not_read_is_left_out_as_a_whole(tmp_path: Path) -> None:
    """Image 2, train/c, by its maps, and image 4, train/more, by a pixel of its mask."""
    write_pairs(tmp_path)
    write_pair(tmp_path, "train/more", 70, 70)
    mask_HW = random_mask(70, 70)
    mask_HW[69, 69] = 9
    write_picture(tmp_path / "masks/train/more.png", mask_HW)
    build(tmp_path, tmp_path / "out")
    write_labels(tmp_path)
    found = split(tmp_path, unread=(2,))["train"]
    expected = patches_in(tmp_path, "train").query("image_id not in (2, 4)")["patch_id"]
    assert found.patch_id_N.tolist() == expected.tolist()
    without_maps = split(tmp_path, pixels=True)["train"]
    expected = patches_in(tmp_path, "train").query("image_id != 4")["patch_id"]
    assert without_maps.patch_id_N.tolist() == expected.tolist()


def test_an_image_whose_pixels_are_broken_is_left_out_of_pixels_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path)
    build(tmp_path, tmp_path / "out")
    write_labels(tmp_path)
    file = tmp_path / "images/train/c.png"
    file.write_bytes(file.read_bytes()[:3000])
    found = split(tmp_path, pixels=True)["train"]
    assert found.patch_id_N.tolist() == patches_in(tmp_path, "train").query("image_id != 2")["patch_id"].tolist()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("warning: images/train/c.png is left out: broken image: ")


def test_patches_that_an_image_had_in_another_size_are_left_out(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    build(tmp_path, tmp_path / "out")
    write_pair(tmp_path, "train/c", 64, 100)
    build(tmp_path, tmp_path / "out")
    write_labels(tmp_path)
    expected = patches_in(tmp_path, "train").query("excluded == ''")["patch_id"]
    assert len(expected) == 3
    found = split(tmp_path, unread=())["train"]
    assert found.patch_id_N.tolist() == expected.tolist()


@pytest.mark.parametrize(("name", "unread"), [("train", (2, 3)), ("val", (4,))])
def test_a_split_without_a_readable_image_is_named(tmp_path: Path, name: str, unread: tuple[int, ...]) -> None:
    write_pairs(tmp_path)
    build(tmp_path, tmp_path / "out")
    write_labels(tmp_path)
    with pytest.raises(UnchokeError, match=f"No image of the {name} split could be read with its mask"):
        split(tmp_path, unread=unread)
    assert len(SIDES) == 5
