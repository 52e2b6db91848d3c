"""A mask stitched band by band is that of the whole image; what is missing is named, what was not read is not known."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import confusion_matrix
from small_patches import OVERLAP, PER_CHUNK, SIZE, STEP, corners, cut_by_hand

from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_atomic
from unchoke.images.grid import Grid
from unchoke.metrics.distances import hd95
from unchoke.signed import read_signed, signed_bytes
from unchoke.stitching.score import Truth, score_masks
from unchoke.stitching.stitch import (
    PALETTE,
    PROBABILITY,
    PatchReader,
    Stitching,
    band_file,
    choose_blend,
    finish_mask,
    mask_palette,
    read_truth,
    stitch_band,
    stitchings_of,
)
from unchoke.store import chunks as stores
from unchoke.store.zarr_bytes import MemoryGroup, encode_chunk, place_group

K = 3
SIDES = [(100, 140), (30, 40), (1, 1), (97, 131), (64, 64), (145, 65), (17, 200)]
BLENDS = ("crop", "gaussian")
Masks = list[NDArray[np.uint8]]


def masks_of(seed: int, values: int = K) -> Masks:
    """A mask for each image, of blocks, so that neighbours differ."""
    rng = np.random.default_rng(seed)
    coarse = [rng.integers(0, values, (-(-height // 5), -(-width // 5)), np.uint8) for height, width in SIDES]
    blocks = [np.kron(mask, np.ones((5, 5), np.uint8)) for mask in coarse]
    return [mask[:height, :width] for mask, (height, width) in zip(blocks, SIDES, strict=True)]


def patches_of(masks: Masks) -> Iterator[tuple[NDArray[np.uint8], int, int]]:
    """Mask, y0 and x0 of every patch of all images."""
    return ((mask, *corner) for mask in masks for corner in corners(*mask.shape))


def in_chunks(patches: list[NDArray[Any]], padding: float) -> Iterator[NDArray[Any]]:
    for start in range(0, len(patches), PER_CHUNK):
        chunk = np.full((PER_CHUNK, *patches[0].shape), padding, patches[0].dtype)
        chunk[: len(patches[start : start + PER_CHUNK])] = patches[start : start + PER_CHUNK]
        yield chunk


def write_predictions(folder: Path, probabilities: list[NDArray[np.float16]]) -> None:
    for number, chunk in enumerate(in_chunks(probabilities, np.nan)):
        stores.write_chunk(folder / "predictions.zarr", number, {PROBABILITY: chunk}, {})


def write_labels(folder: Path, truth: Masks) -> None:
    labels = [cut_by_hand(mask, y0, x0, mode="constant", constant_values=255) for mask, y0, x0 in patches_of(truth)]
    for number, chunk in enumerate(in_chunks(labels, 255)):
        stores.write_chunk(folder / "labels.zarr", number, {"mask": chunk, "valid": np.ones(PER_CHUNK, bool)}, {})


def one_hot(masks: Masks) -> list[NDArray[np.float16]]:
    """Probabilities (K, S, S) of every patch that are sure of its part of the mask."""
    eye = np.eye(K, dtype=np.float16)
    return [np.moveaxis(eye[cut_by_hand(mask, y0, x0)], -1, 0) for mask, y0, x0 in patches_of(masks)]


def unsure(seed: int = 0) -> list[NDArray[np.float16]]:
    """Random probabilities, so that patches disagree."""
    rng = np.random.default_rng(seed)
    count = sum(len(corners(*sides)) for sides in SIDES)
    return [rng.dirichlet(np.ones(K), (SIZE, SIZE)).transpose(2, 0, 1).astype(np.float16) for _ in range(count)]


def first_of(image: int) -> int:
    return sum(len(corners(*sides)) for sides in SIDES[:image])


def settings_of(image: int, blend: str = "crop", probabilities: bool = False) -> Stitching:
    grid = Grid(*SIDES[image], SIZE, OVERLAP)
    return Stitching(grid, first_of(image), PER_CHUNK, K, blend, probabilities)


def bands_of(image: int) -> range:
    return range(-(-SIDES[image][0] // STEP))


def stitch(folder: Path, image: int, settings: Stitching, bands: list[int] | None = None) -> list[dict[str, Any]]:
    store = folder / f"stitched/{image}.zarr"
    order = list(bands_of(image)) if bands is None else bands
    patches = PatchReader(folder / "predictions.zarr", folder / "labels.zarr")
    return [stitch_band(patches, store, band, settings) for band in order]


def finish(folder: Path, image: int, settings: Stitching) -> dict[str, Any]:
    place = folder / "stitched"
    return finish_mask(
        place / f"{image}.zarr", place / f"{image}.png", place / f"{image}.json", settings, settings.blend == "crop"
    )


def mask_at(folder: Path, image: int, name: str = "mask") -> NDArray[Any]:
    return np.asarray(zarr.open_group(folder / f"stitched/{image}.zarr", mode="r")[name])


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions that are sure of a mask, and another mask as the truth, a tenth of it not known."""
    folder = tmp_path_factory.mktemp("known")
    write_predictions(folder, one_hot(masks_of(0)))
    write_labels(folder, truth_of())
    return folder


def truth_of() -> Masks:
    rng, truth = np.random.default_rng(5), masks_of(1)
    for mask in truth:
        mask[rng.random(mask.shape) < 0.1] = 255
    return truth


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    write_predictions(folder, unsure())
    write_labels(folder, truth_of())
    return folder


def test_images_share_chunks_here() -> None:
    chunks = [{(first_of(n) + p) // PER_CHUNK for p in range(len(corners(*sides)))} for n, sides in enumerate(SIDES)]
    assert any(one & other for one, other in pairwise(chunks))
    assert any(len(own) > 1 for own in chunks)


# --- whole masks


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("image", range(len(SIDES)))
def test_a_mask_stitched_band_by_band_is_the_one_that_was_predicted(known: Path, image: int, blend: str) -> None:
    settings = settings_of(image, blend, probabilities=True)
    stitch(known, image, settings)
    finish(known, image, settings)
    expected_HW = masks_of(0)[image]
    np.testing.assert_array_equal(mask_at(known, image), expected_HW)
    np.testing.assert_array_equal(mask_at(known, image, "probability").argmax(0), expected_HW)


@pytest.mark.parametrize("image", range(len(SIDES)))
def test_counts_are_scikit_learns_of_the_whole_masks(known: Path, image: int) -> None:
    records = stitch(known, image, settings_of(image))
    truth_HW, predicted_HW = truth_of()[image], masks_of(0)[image]
    sure = truth_HW != 255
    if not sure.any():
        assert not np.any([record["counts"] for record in records])
        return
    expected_KK = confusion_matrix(truth_HW[sure], predicted_HW[sure], labels=range(K))
    np.testing.assert_array_equal(np.sum([record["counts"] for record in records], 0), expected_KK)
    assert [record["band"] for record in records] == list(bands_of(image))


def test_patches_of_one_mind_differ_nowhere_and_shared_pixels_are_those_of_two_patches(known: Path) -> None:
    for image, (height, width) in enumerate(SIDES):
        records = stitch(known, image, settings_of(image))
        patches_HW = np.zeros((height, width), int)
        for y0, x0 in corners(height, width):
            patches_HW[y0 : y0 + SIZE, x0 : x0 + SIZE] += 1
        assert [record["shared_px"] for record in records] == [
            int((patches_HW[band * STEP : (band + 1) * STEP] > 1).sum()) for band in bands_of(image)
        ]
        assert {record["differ_px"] for record in records} == {0}


@pytest.mark.parametrize("blend", BLENDS)
def test_bands_in_any_order_are_the_same_bytes(random: Path, blend: str) -> None:
    settings = settings_of(5, blend, probabilities=True)

    def files() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in (random / "stitched").rglob("*") if file.is_file()}

    stitch(random, 5, settings, [0, 1, 2, 3])
    finish(random, 5, settings)
    before = files()
    assert any(record["differ_px"] for record in stitch(random, 5, settings, [2, 0, 3, 1]))
    finish(random, 5, settings)
    assert files() == before


@pytest.mark.parametrize("blend", BLENDS)
def test_probabilities_are_kept_as_float16_and_sum_to_one(random: Path, blend: str) -> None:
    settings = settings_of(0, blend, probabilities=True)
    stitch(random, 0, settings)
    finish(random, 0, settings)
    probability_KHW = mask_at(random, 0, "probability")
    assert probability_KHW.dtype == np.float16 and probability_KHW.shape == (K, *SIDES[0])
    np.testing.assert_allclose(probability_KHW.sum(0, dtype=float), 1, atol=2e-3)
    second_HW, first_HW = np.sort(probability_KHW.astype(float), 0)[-2:]
    clear_HW = first_HW - second_HW > 2e-3  # float16 may decide the rest either way
    assert clear_HW.mean() > 0.9
    np.testing.assert_array_equal(mask_at(random, 0)[clear_HW], probability_KHW.argmax(0)[clear_HW])


def test_probabilities_that_are_not_kept_are_not_there(tmp_path: Path) -> None:
    write_predictions(tmp_path, unsure())
    write_labels(tmp_path, truth_of())
    stitch(tmp_path, 1, settings_of(1))
    finish(tmp_path, 1, settings_of(1))
    assert list(zarr.open_group(tmp_path / "stitched/1.zarr", mode="r")) == ["mask"]


def test_a_band_is_padded_below_the_image_with_what_is_not_known(known: Path) -> None:
    stitch(known, 1, settings_of(1))
    (stored,) = (known / "stitched/1.zarr/mask/c").iterdir()
    group = MemoryGroup()
    array = group.root.create_array("a", shape=(STEP, 40), chunks=(STEP, 40), dtype="uint8", fill_value=0)
    expected_HW = np.full((STEP, 40), 255, np.uint8)
    expected_HW[:30] = masks_of(0)[1]
    array[...] = expected_HW
    assert (stored / "0").read_bytes() == encode_chunk(expected_HW)


# --- what could not be read


def without(place: int, image: int = 0) -> list[NDArray[np.float16]]:
    """Sure predictions, but for one patch of an image."""
    probabilities = one_hot(masks_of(0))
    probabilities[first_of(image) + place] = np.full_like(probabilities[0], np.nan)
    return probabilities


OWNED = {  # of the 2 × 3 patches of an image of 100 × 140 px: halves of overlaps go to either side
    0: np.s_[:56, :56],
    1: np.s_[:56, 56:104],
    5: np.s_[56:, 104:],
}


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("place", OWNED)
def test_a_patch_that_was_not_read_leaves_unknown_what_it_alone_answers_for(
    tmp_path: Path, place: int, blend: str
) -> None:
    write_predictions(tmp_path, without(place))
    write_labels(tmp_path, truth_of())
    settings = settings_of(0, blend, probabilities=True)
    stitch(tmp_path, 0, settings)
    result = finish(tmp_path, 0, settings)
    expected_HW, truth_HW = masks_of(0)[0].copy(), truth_of()[0]
    expected_HW[OWNED[place]] = 255
    np.testing.assert_array_equal(mask_at(tmp_path, 0), expected_HW)
    known = (expected_HW != 255) & (truth_HW != 255)
    assert result["unread_px"] == (expected_HW == 255).sum()
    np.testing.assert_array_equal(
        result["counts"], confusion_matrix(truth_HW[known], expected_HW[known], labels=range(K))
    )
    assert result["differ_px"] == 0
    probability_KHW = mask_at(tmp_path, 0, "probability").astype(float)
    np.testing.assert_allclose(probability_KHW[:, expected_HW != 255].sum(0), 1, atol=2e-3)
    assert np.isnan(probability_KHW[:, expected_HW == 255]).all()


@pytest.mark.parametrize("blend", BLENDS)
def test_of_an_image_that_was_not_read_at_all_nothing_is_known(tmp_path: Path, blend: str) -> None:
    probabilities = [np.full_like(patch, np.nan) for patch in unsure()]
    write_predictions(tmp_path, probabilities)
    write_labels(tmp_path, truth_of())
    stitch(tmp_path, 3, settings_of(3, blend))
    result = finish(tmp_path, 3, settings_of(3, blend))
    assert (mask_at(tmp_path, 3) == 255).all()
    assert (result["unread_px"], result["differ_px"], np.sum(result["counts"])) == (97 * 131, 0, 0)


# --- the finished mask


def test_the_summary_adds_up(random: Path) -> None:
    for image, (height, width) in enumerate(SIDES):
        records = stitch(random, image, settings_of(image))
        result = finish(random, image, settings_of(image))
        assert result == read_signed(random / f"stitched/{image}.json", "file")
        assert (result["height"], result["width"], result["halo_px"]) == (height, width, OVERLAP // 2)
        assert (result["blend"], result["exact"]) == ("crop", True)
        assert np.sum(result["counts"]) + (truth_of()[image] == 255).sum() == height * width
        for name in ("differ_px", "shared_px", "unread_px"):
            assert result[name] == sum(record[name] for record in records)
        assert 0 <= result["differ_px"] <= result["shared_px"]


@pytest.mark.parametrize("image", range(len(SIDES)))
def test_the_picture_is_the_mask_in_its_colours(known: Path, image: int) -> None:
    stitch(known, image, settings_of(image))
    finish(known, image, settings_of(image))
    with Image.open(known / f"stitched/{image}.png") as picture:
        picture.load()
    assert picture.mode == "P" and picture.size == SIDES[image][::-1]
    np.testing.assert_array_equal(np.asarray(picture), mask_at(known, image))
    colours = np.array([(0, 0, 0), (230, 159, 0), (86, 180, 233)])
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), colours[masks_of(0)[image]])


@pytest.mark.parametrize("n_classes", [2, 7, 8, 254])
def test_every_class_has_a_colour_of_its_own_and_the_unknown_is_white(n_classes: int) -> None:
    palette = mask_palette(n_classes)
    assert len(palette) == 256 and palette[255] == (255, 255, 255)
    assert palette[: len(PALETTE)][:n_classes] == PALETTE[:n_classes]
    assert all(0 <= channel <= 255 for colour in palette for channel in colour)
    assert (255, 255, 255) not in palette[:n_classes]
    if n_classes < 150:  # more greys than there are
        assert len(set(palette[:n_classes])) == n_classes


@pytest.mark.parametrize("what", ["band", "probabilities", "record"])
@pytest.mark.parametrize("how", ["missing", "changed"])
def test_a_band_that_is_missing_or_changed_is_named_and_nothing_is_finished(
    tmp_path: Path, what: str, how: str
) -> None:
    write_predictions(tmp_path, unsure())
    write_labels(tmp_path, truth_of())
    settings, store = settings_of(0, probabilities=True), tmp_path / "stitched/0.zarr"
    stitch(tmp_path, 0, settings)
    file = {
        "band": store / "mask/c/1/0",
        "probabilities": store / "probability/c/0/1/0",
        "record": tmp_path / "stitched/0.bands/1.json",
    }[what]
    if how == "missing":
        file.unlink()
    elif what == "record":
        file.write_bytes(signed_bytes({**read_signed(file, "file"), "sha256": ["0" * 64] * 2}))
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(UnchokeError, match=r"(?s)Band 1 of a mask is missing or changed.*0\.zarr/mask/c/1/0.*forcerun"):
        finish(tmp_path, 0, settings)
    assert not (tmp_path / "stitched/0.png").exists() and not (store / "zarr.json").exists()


def test_labels_that_changed_are_named(tmp_path: Path) -> None:
    write_predictions(tmp_path, unsure())
    write_labels(tmp_path, truth_of())
    file = stores.chunk_file(tmp_path / "labels.zarr", "mask", 0, 3)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(UnchokeError, match="Chunk 0 of labels is missing or changed"):
        stitch(tmp_path, 0, settings_of(0))
    assert not band_file(tmp_path / "stitched/0.zarr", 0).exists()


# --- how


@pytest.mark.parametrize(
    ("wanted", "radius_px", "expected"),
    [
        ("auto", 8, ("crop", True)),
        ("auto", 9, ("gaussian", False)),
        ("auto", None, ("gaussian", False)),
        ("crop", 8, ("crop", True)),
        ("crop", 9, ("crop", False)),
        ("crop", None, ("crop", False)),
        ("gaussian", 0, ("gaussian", False)),
    ],
)
def test_halos_are_cropped_where_the_network_sees_no_farther_than_they_reach(
    wanted: str, radius_px: int | None, expected: tuple[str, bool]
) -> None:
    assert choose_blend(wanted, radius_px, 8) == expected


def test_an_image_is_stitched_as_its_grid_and_its_head_say(tmp_path: Path) -> None:
    group = MemoryGroup({"reach_px": 5, "classes": ["a", "b", "c"]})
    place_group(group.contents(), tmp_path / "head")
    grids = {"7": {"first": 12, "height": 100, "width": 140, "rows": 2, "columns": 3, "split": "val"}}
    write_atomic(tmp_path / "grids.json", json_bytes(grids))
    patches = {"size": 64, "overlap": 16, "per_chunk": 5}
    found = stitchings_of(tmp_path / "head", tmp_path / "grids.json", ["7"], patches, "auto", True)
    assert found == {"7": (Stitching(Grid(100, 140, 64, 16), 12, 5, 3, "crop", True), True)}


# --- distances to the truth


def test_the_truth_is_put_together_from_its_patches(known: Path) -> None:
    for image, expected in enumerate(truth_of()):
        found = read_truth(known / "labels.zarr", Grid(*SIDES[image], SIZE, OVERLAP), first_of(image), PER_CHUNK)
        np.testing.assert_array_equal(found, expected)


def test_hd95_of_a_split_is_the_mean_over_its_images_that_have_the_class(tmp_path: Path) -> None:
    write_predictions(tmp_path, one_hot(masks_of(0)))
    write_labels(tmp_path, truth_of())
    for image in range(len(SIDES)):
        stitch(tmp_path, image, settings_of(image))
        finish(tmp_path, image, settings_of(image))
    classes = [f"class {place}" for place in range(K)]
    place_group(MemoryGroup({"classes": classes, "reach_px": 5}).contents(), tmp_path / "head")
    sides = {str(i): {"height": h, "width": w, "first": first_of(i)} for i, (h, w) in enumerate(SIDES)}
    write_atomic(tmp_path / "grids.json", json_bytes(sides))
    splits = ["val", *["test"] * (len(SIDES) - 1)]
    manifest = pd.DataFrame({"image_id": range(len(SIDES)), "split": splits, "group": "", "excluded": ""})
    patches = {"size": SIZE, "overlap": OVERLAP, "per_chunk": PER_CHUNK}
    truth = Truth(tmp_path / "labels.zarr", tmp_path / "grids.json", patches)
    place = (tmp_path / "head", tmp_path / "stitched", manifest)
    found = score_masks(*place, truth)
    expected_IK = np.array([hd95(*pair, K, "") for pair in zip(truth_of(), masks_of(0), strict=True)])
    assert np.isnan(expected_IK[2]).any()  # the image of one pixel
    for column, label in enumerate(classes):
        figure, of_test_I = found["figures"]["test"][f"hd95.{label}"], expected_IK[1:, column]
        assert figure["value"] == pytest.approx(np.nanmean(of_test_I))
        assert figure["sd"] == pytest.approx(np.nanstd(of_test_I, ddof=1))
        shown = [found["images"][str(image)]["hd95_px"][label] for image in range(len(SIDES))]
        assert shown == [None if np.isnan(value) else value for value in expected_IK[:, column]]
    assert "hd95_px" not in score_masks(*place)["images"]["1"]


def test_a_mask_that_a_batch_names_is_not_left_out_of_the_scores(tmp_path: Path) -> None:
    place_group(MemoryGroup({"classes": ["a"], "reach_px": 5}).contents(), tmp_path / "head")
    write_atomic(tmp_path / "stitched/batches/0.json", signed_bytes({"masks": {"3": "", "9": ""}}))
    manifest = pd.DataFrame({"image_id": [3], "split": "val", "group": "", "excluded": ""})
    with pytest.raises(UnchokeError, match=r"(?s)summary of a mask is missing.*stitched/3\.json"):
        score_masks(tmp_path / "head", tmp_path / "stitched", manifest)
