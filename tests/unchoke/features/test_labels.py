"""Labels of patches are the values of the mask files, told apart as the config names them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
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

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.features.labels import MaskSettings, cut_masks
from unchoke.store import chunks as stores
from unchoke.store.read import open_complete
from unchoke.store.seal import seal_store

VALUES = (0, 3, 7, 200)
CLASSES = {"zebra": [7], "background": [0, 3]}  # neither by name nor by value
IGNORE = 200
PLACES = {7: 0, 0: 1, 3: 1, IGNORE: 255}


def settings_of(**changes: Any) -> MaskSettings:
    settings: dict[str, Any] = {"classes": CLASSES, "ignore": IGNORE, "max_pixels": 10**6}
    return MaskSettings(SIZE, PER_CHUNK, **{**settings, **changes})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "data", VALUES)
    return tmp_path / "data"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def cut(root: Path, out: Path, chunk: int, **changes: Any) -> dict[str, NDArray[Any]]:
    rows_file = out / f"mask_rows/{chunk}.csv"
    how_many = cut_masks(
        out / "labels.zarr", chunk, rows_of(out, chunk, "mask_rows"), rows_file, root, settings_of(**changes)
    )
    arrays = stores.read_chunk(out / "labels.zarr", chunk)
    assert how_many == arrays["valid"].sum()
    return arrays


def cut_all(root: Path, out: Path, **changes: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels and validity of all patches, by patch_id."""
    chunks = [cut(root, out, chunk, **changes) for chunk in range(len(list((out / "mask_rows").iterdir())))]
    count = len(patches_of(out))
    labels, valid = (np.concatenate([chunk[name] for chunk in chunks]) for name in ("mask", "valid"))
    assert not valid[count:].any() and (labels[count:] == 255).all()
    return labels[:count], valid[:count]


def by_hand(values_HW: NDArray[np.uint8], y0: int, x0: int) -> NDArray[np.uint8]:
    places_HW = np.vectorize(PLACES.__getitem__, otypes=[np.uint8])(values_HW)
    return cut_by_hand(places_HW, y0, x0, mode="constant", constant_values=255)


def reasons(out: Path, chunk: int) -> list[dict[str, Any]]:
    invalid: list[dict[str, Any]] = stores.read_record(out / "labels.zarr", chunk)["invalid"]
    return invalid


def test_labels_are_the_places_of_the_masks_values_and_ignored_outside(root: Path, out: Path) -> None:
    build(root, out)
    labels, valid = cut_all(root, out)
    assert valid.all() and labels.dtype == np.uint8
    for patch_id, image_id, y0, x0 in patches_of(out).iloc[:, :4].itertuples(index=False):
        values_HW = np.asarray(Image.open(root / f"masks/{list(SIDES)[image_id]}.png"))
        np.testing.assert_array_equal(labels[patch_id], by_hand(values_HW, y0, x0))


def test_classes_stand_in_the_order_of_the_config(root: Path, out: Path) -> None:
    build(root, out)
    straight, turned = (cut(root, out, 0, classes=classes) for classes in (CLASSES, dict(reversed(CLASSES.items()))))
    np.testing.assert_array_equal(turned["mask"], np.array([1, 0, *[255] * 254])[straight["mask"]])
    record = stores.read_record(out / "labels.zarr", 0)
    assert record["settings"]["classes"] == [["background", [0, 3]], ["zebra", [7]]]
    assert record["settings"]["version"] == versions.MASKS


@pytest.mark.parametrize("kind", ["palette", "rgb"])
def test_palettes_count_by_their_indices_and_colours_by_their_numbers(root: Path, out: Path, kind: str) -> None:
    colours = {0: (0, 0, 0), 3: (1, 2, 3), 7: (255, 0, 0), 200: (0, 255, 128)}
    values_HW = random_mask(*SIDES["train/d"], VALUES)
    if kind == "palette":
        image = Image.fromarray(values_HW, "P")
        image.putpalette([channel for index in range(256) for channel in colours.get(index, (9, 9, 9))])
        image.save(root / "masks/train/d.png")
        changes: dict[str, Any] = {}
    else:
        shown_HW3 = np.array([colours.get(index, (0, 0, 0)) for index in range(256)], np.uint8)[values_HW]
        write_picture(root / "masks/train/d.png", shown_HW3)
        changes = {"classes": {"zebra": [0xFF0000], "background": [0, 0x010203]}, "ignore": 0x00FF80}
    build(root, out)
    (patch_id,) = patches_of(out).query("image_id == 3")["patch_id"]
    chunk = cut(root, out, patch_id // PER_CHUNK, **changes)
    assert chunk["valid"][patch_id % PER_CHUNK]
    np.testing.assert_array_equal(chunk["mask"][patch_id % PER_CHUNK], by_hand(values_HW, 0, 0))


@pytest.mark.parametrize("values", [(9,), (200, 201)])
def test_a_value_of_no_class_makes_just_the_patches_that_hold_it_invalid(
    root: Path, out: Path, values: tuple[int, ...]
) -> None:
    mask_HW = np.zeros(SIDES["test/a"], np.uint8)
    mask_HW[99, :2] = values
    write_picture(root / "masks/test/a.png", mask_HW)
    build(root, out)
    labels, valid = cut_all(root, out)
    patches = patches_of(out)
    assert patches.loc[~valid, ["image_id", "y0", "x0"]].to_numpy().tolist() == [[0, 48, 0]]
    assert (labels[~valid] == 255).all()
    count, value = (2, 9) if values == (9,) else (1, 201)
    pixels = "1 pixel" if count == 1 else f"{count} pixels"
    reason = f"its mask: mask has the value {value} in {pixels}, which no class has"
    assert reasons(out, int(np.flatnonzero(~valid)[0]) // PER_CHUNK) == [{"image_id": 0, "reason": reason}]


def test_a_value_that_is_not_ignored_any_more_is_unknown(root: Path, out: Path) -> None:
    build(root, out)
    assert not cut_all(root, out, ignore=None)[1].any()


def test_masks_that_cannot_be_read_are_named_and_leave_others_alone(root: Path, out: Path) -> None:
    build(root, out)
    whole = cut_all(root, out)[0]
    file = root / "masks/train/c.png"
    file.write_bytes(file.read_bytes()[:3000])
    (root / "masks/train/d.png").unlink()
    labels, valid = cut_all(root, out)
    image_id = patches_of(out)["image_id"].to_numpy()
    np.testing.assert_array_equal(valid, ~np.isin(image_id, [2, 3]))
    np.testing.assert_array_equal(labels[valid], whole[valid])
    assert (labels[~valid] == 255).all()
    said = {entry["image_id"]: entry["reason"] for chunk in range(5) for entry in reasons(out, chunk)}
    assert set(said) == {2, 3}
    assert said[2].startswith("its mask: broken image: ") and said[3] == "its mask: no such file or directory"


def test_a_mask_above_the_limit_of_pixels_is_refused(root: Path, out: Path) -> None:
    build(root, out)
    arrays = cut(root, out, 0, max_pixels=100 * 140 - 1)
    assert not arrays["valid"].any()
    reason = "its mask: 140 × 100 px, above decoding.max_pixels 13999"
    assert reasons(out, 0) == [{"image_id": 0, "reason": reason}]


@pytest.mark.parametrize("sides", [(20, 20), (97, 40), (300, 300)])
def test_a_mask_that_does_not_fit_its_image_is_not_cut(root: Path, out: Path, sides: tuple[int, int]) -> None:
    """Its image is marked in the manifest; patches of it could lie beyond the mask."""
    write_picture(root / "masks/train/c.png", random_mask(*sides, VALUES))
    build(root, out)
    labels, valid = cut_all(root, out)
    np.testing.assert_array_equal(valid, patches_of(out)["image_id"] != 2)
    assert (labels[~valid] == 255).all()
    assert not any(reasons(out, chunk) for chunk in range(5))


def test_patches_of_an_image_that_has_shrunk_are_not_cut(root: Path, out: Path) -> None:
    build(root, out)
    write_pair(root, "test/a", 40, 50, VALUES)
    build(root, out)
    np.testing.assert_array_equal(cut_all(root, out)[1], patches_of(out)["excluded"] == "")


def test_an_image_without_a_mask_is_not_valid_and_needs_no_reason(root: Path, out: Path) -> None:
    (root / "masks/train/d.png").unlink()
    build(root, out)
    _, valid = cut_all(root, out)
    np.testing.assert_array_equal(valid, patches_of(out)["image_id"] != 3)
    assert not any(reasons(out, chunk) for chunk in range(5))


def test_sealed_labels_open_as_one_array_of_patches(root: Path, out: Path) -> None:
    build(root, out)
    labels, valid = cut_all(root, out)
    seal_store(out / "labels.zarr", out / "patches.csv", out / "mask_rows")
    store = open_complete(out / "labels.zarr")
    array = zarr.open_group(out / "labels.zarr", mode="r")["mask"]
    assert array.metadata.dimension_names == ("patch", "y", "x")  # type: ignore[union-attr]
    np.testing.assert_array_equal(array[:], labels)  # type: ignore[index]
    np.testing.assert_array_equal(store.valid(), valid)
    assert [name for name, _ in store.seal["settings"]["classes"]] == list(CLASSES)


def test_labels_of_other_rows_than_the_tables_are_not_sealed(root: Path, out: Path) -> None:
    build(root, out)
    cut_all(root, out)
    write_pair(root, "train/d", 41, 30, VALUES)
    build(root, out)
    with pytest.raises(UnchokeError, match=r"Chunk \d of labels is missing or changed"):
        seal_store(out / "labels.zarr", out / "patches.csv", out / "mask_rows")


def test_the_same_masks_give_the_same_bytes(root: Path, out: Path) -> None:
    build(root, out)
    file = stores.chunk_file(out / "labels.zarr", "mask", 1, 3)
    cut(root, out, 1)
    first = file.read_bytes()
    cut(root, out, 1)
    assert file.read_bytes() == first
    assert len(manifest_of(out)) == len(SIDES)
