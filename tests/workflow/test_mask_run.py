"""Datasets with masks by real runs of Snakemake: what a user does, what it must not do again, and bad input."""

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import zarr
from browser import needs_browser, open_every_entry
from conftest import (
    BLOBS,
    MASK_CONFIG,
    Clone,
    add_blobs,
    jobs,
    make_masked_clone,
    store_digests,
    write_image,
    write_png,
)
from PIL import Image

pytestmark = pytest.mark.xdist_group("masks")

HEADS = ("tiny/linear", "pixels/unet")
SCORES = tuple(f"results/blobs/scores/{head}.json" for head in HEADS)
LINEAR = SCORES[0]
QUARANTINE = "results/blobs/quarantine.csv"


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone after one undisturbed run, and what snakemake said; tests work on copies of it."""
    clone = make_masked_clone(tmp_path_factory.mktemp("segmented") / "clone with spaces")
    return clone, clone.snakemake("--cores", "2")


@pytest.fixture
def again(segmented: tuple[Clone, str], tmp_path: Path) -> Clone:
    return segmented[0].copy_to(tmp_path / "clone")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def ids_of(clone: Clone) -> dict[str, int]:
    """Numbers of the images, by their names in ``BLOBS``."""
    paths = {row["path"]: int(row["image_id"]) for row in rows_of(clone.results / "manifest.csv")}
    return {path.removeprefix("images/").removesuffix(".png"): number for path, number in paths.items()}


def mask_of(clone: Clone, head: str, image_id: int) -> np.ndarray:
    return np.asarray(zarr.open_group(clone.results / f"stitched/{head}/{image_id}.zarr", mode="r")["mask"])


def score_of(clone: Clone, head: str) -> dict[str, Any]:
    return json.loads((clone.results / f"scores/{head}.json").read_text())


# --- one run


def test_one_command_cuts_learns_stitches_and_scores(segmented: tuple[Clone, str]) -> None:
    clone, output = segmented
    patches = rows_of(clone.results / "patches.csv")
    assert [int(row["patch_id"]) for row in patches] == list(range(26))
    found = {
        rule: jobs(output, rule)
        for rule in ("cut_masks", "extract_patches", "predict_patches", "stitch_masks", "stitch_band", "finish_mask")
    }
    of_masks = {"stitch_masks": 6, "stitch_band": 12, "finish_mask": 4}
    assert found == {"cut_masks": 7, "extract_patches": 7, "predict_patches": 14, **of_masks}
    store = zarr.open_group(clone.results / "features/tiny.zarr", mode="r")
    info = timm.create_model("test_resnet", pretrained=False, features_only=True).feature_info
    for stride, channels in zip(info.reduction()[1:3], info.channels()[1:3], strict=True):
        assert store[f"s{stride}"].shape == (26, channels, 64 // stride, 64 // stride)
    for head in HEADS:
        assert set(score_of(clone, head)["figures"]) == {"val", "test"}


@pytest.mark.parametrize("head", HEADS)
def test_every_image_has_a_mask_of_its_size_as_zarr_and_as_png(segmented: tuple[Clone, str], head: str) -> None:
    clone, _ = segmented
    for name, image_id in ids_of(clone).items():
        mask_HW = mask_of(clone, head, image_id)
        assert mask_HW.shape == BLOBS[name]
        assert mask_HW.max() <= 1
        with Image.open(clone.results / f"stitched/{head}/{image_id}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), mask_HW)


@pytest.mark.parametrize("head", HEADS)
def test_scores_follow_from_the_stored_masks(segmented: tuple[Clone, str], head: str) -> None:
    clone, _ = segmented
    of_pixels = {split: [] for split in ("val", "test")}
    for name, image_id in ids_of(clone).items():
        truth_HW = np.asarray(Image.open(clone.folder / f"blobs/masks/{name}.png")) // 255
        split = name.split("/")[0]
        if split in of_pixels:
            of_pixels[split].append(np.stack([truth_HW.ravel(), mask_of(clone, head, image_id).ravel()]))
    for split, pairs in of_pixels.items():
        truth_N, predicted_N = np.concatenate(pairs, axis=1)
        both_K = [np.sum((truth_N == place) & (predicted_N == place)) for place in (0, 1)]
        either_K = [np.sum((truth_N == place) | (predicted_N == place)) for place in (0, 1)]
        figures = score_of(clone, head)["figures"][split]
        assert figures["mean_iou"]["value"] == pytest.approx(np.mean(np.divide(both_K, either_K)))
        assert figures["pixel_accuracy"]["value"] == pytest.approx(np.mean(truth_N == predicted_N))
        assert set(figures["hd95.foreground"]) == {"value", "low", "high", "sd", "units"}


def test_the_database_ranks_the_heads(segmented: tuple[Clone, str]) -> None:
    clone, _ = segmented
    connection = sqlite3.connect(clone.results / "experiments.db")
    board = connection.execute("SELECT encoder, head, test FROM leaderboard").fetchall()
    metrics = connection.execute("SELECT DISTINCT metric FROM leaderboard").fetchall()
    assert metrics == [("mean_iou_in_truth",)]
    scores = {head: score_of(clone, head)["figures"]["test"]["mean_iou_in_truth"]["value"] for head in HEADS}
    assert {head: value for _, head, value in board} == {head.split("/")[1]: value for head, value in scores.items()}
    assert not connection.execute("PRAGMA foreign_key_check").fetchall()


@needs_browser
def test_a_browser_shows_every_figure_of_the_masks(segmented: tuple[Clone, str], tmp_path: Path) -> None:
    clone, _ = segmented
    clone.snakemake("--report", "report.html")
    figures = [
        f"{head}/{figure}.png" for head in HEADS for figure in ("mask_curves", "mask_overlays", "mask_confusion")
    ]
    pages = [f"{page}.{kind}" for page in ("leaderboard", "quarantine", "durations") for kind in ("png", "html")]
    expected = {f"results/blobs/report/{path}" for path in (*figures, *pages, "page.html")}
    assert open_every_entry((clone.folder / "report.html").read_text(), tmp_path).keys() == expected


# --- what is done again


def test_no_mask_is_made_twice(again: Clone) -> None:
    assert "Nothing to be done" in again.snakemake("--cores", "2")


def test_a_database_of_the_release_before_is_built_again_unasked(again: Clone) -> None:
    receipts = again.results / "receipts"
    former = {"build_database": "build_mask_database", "draw_leaderboard": "draw_mask_board"}
    (receipts / "draw_head").rename(receipts / "draw_mask_head")
    for job, before in former.items():
        (receipts / f"{job}.json").rename(receipts / f"{before}.json")
    output = again.snakemake("--cores", "2")
    assert [jobs(output, job) for job in (*former, "train_mask_head", "stitch_band")] == [1, 1, 0, 0]
    assert jobs(output, "draw_head") == len(HEADS) and not list(receipts.glob("draw_mask_head/*/*"))
    assert not [before for before in former.values() if (receipts / f"{before}.json").exists()]
    assert "Nothing to be done" in again.snakemake("--cores", "2")


def test_a_deleted_band_is_stitched_again_without_learning_anything(again: Clone) -> None:
    before, others = store_digests(again), again.times("stitched/pixels/**/*")
    (again.results / "stitched/tiny/linear/0.zarr/mask/c/1/0").unlink()
    output = again.snakemake("--cores", "2")
    assert store_digests(again) == before
    assert again.times("stitched/pixels/**/*") == others
    rules = ("cut_masks", "extract_patches", "train_mask_head", "predict_patches", "stitch_band", "finish_mask")
    assert [jobs(output, rule) for rule in rules] == [0, 0, 0, 0, 1, 1]


def test_new_scores_ask_for_every_file_of_a_mask(again: Clone) -> None:
    """Of a job whose shell was killed, Snakemake may delete some files before its command has written the last.

    Image 0 has jobs of its own, 1 a batch, 2 shares one with 4 and 5.
    """
    before, others = (
        store_digests(again),
        again.times("stitched/*/*/[3-7].*/**/*") | again.times("stitched/*/*/[3-7].*"),
    )
    (again.results / "scores/tiny/linear.json").unlink()
    for file in ("0.png", "1.zarr/zarr.json", "2.json"):
        (again.results / "stitched/tiny/linear" / file).unlink()
    output = again.snakemake("--cores", "2", *SCORES)
    assert store_digests(again) == before
    assert again.times("stitched/*/*/[3-7].*/**/*") | again.times("stitched/*/*/[3-7].*") == others
    assert [jobs(output, rule) for rule in ("stitch_masks", "stitch_band", "finish_mask")] == [2, 0, 1]


def test_deleted_labels_cost_their_chunk_and_the_heads(again: Clone) -> None:
    before, features = store_digests(again), again.times("features/**/*")
    (again.results / "labels.zarr/mask/c/1/0/0").unlink()
    output = again.snakemake("--cores", "2")
    assert store_digests(again) == before
    assert again.times("features/**/*") == features
    assert (jobs(output, "cut_masks"), jobs(output, "train_mask_head")) == (1, 2)


def test_a_deleted_chunk_of_maps_costs_nothing_that_reads_pixels(again: Clone) -> None:
    before, others = store_digests(again), again.times("stitched/pixels/**/*") | again.times("labels.zarr/**/*")
    (again.results / "features/tiny.zarr/s4/c/1/0/0/0").unlink()
    output = again.snakemake("--cores", "2")
    assert store_digests(again) == before
    assert again.times("stitched/pixels/**/*") | again.times("labels.zarr/**/*") == others
    assert (jobs(output, "extract_patches"), jobs(output, "train_mask_head")) == (1, 1)


def test_a_damaged_band_is_named_with_the_command_that_mends_it(again: Clone) -> None:
    before = store_digests(again)
    band = again.results / "stitched/tiny/linear/0.zarr/mask/c/1/0"
    whole = band.read_bytes()
    band.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (again.results / "stitched/tiny/linear/0.png").unlink()
    output = again.snakemake("--cores", "2", ok=False)
    assert "Band 1 of a mask is missing or changed" in output
    mend = next(line for line in output.splitlines() if "--forcerun" in line).split("--forcerun ")[1]
    again.snakemake("--cores", "2", "--forcerun", mend)
    assert store_digests(again) == before


def test_a_new_image_costs_its_own_chunks_of_maps_and_labels(again: Clone) -> None:
    first = [f"{store}/c/[0-5]/**/0" for store in ("features/tiny.zarr/*", "labels.zarr/mask")]
    before = [again.times(pattern) for pattern in first]
    old = rows_of(again.results / "patches.csv")
    add_blobs(again, "train/another", 100, 100)
    output = again.snakemake("--cores", "2", *SCORES)
    assert [jobs(output, rule) for rule in ("cut_masks", "extract_patches")] == [2, 2]  # the seventh fills up
    assert [again.times(pattern) for pattern in first] == before
    new = rows_of(again.results / "patches.csv")
    assert new[:26] == old
    assert {row["image_id"] for row in new[26:]} == {"8"} and len(new) == 30


def test_an_edited_mask_is_cut_and_learnt_again_but_no_image_is_encoded(again: Clone) -> None:
    features = again.times("features/**/*")
    mask = np.zeros(BLOBS["train/b"], np.uint8)
    write_png(again.folder / "blobs/masks/train/b.png", mask)
    output = again.snakemake("--cores", "2", *SCORES)
    done = {rule: jobs(output, rule) for rule in ("cut_masks", "extract_patches", "train_mask_head")}
    assert done == {"cut_masks": 1, "extract_patches": 0, "train_mask_head": 2}
    assert again.times("features/**/*") == features
    row = next(
        row for row in rows_of(again.results / "patches.csv") if int(row["image_id"]) == ids_of(again)["train/b"]
    )
    labels_HW = np.asarray(zarr.open_group(again.results / "labels.zarr", mode="r")["mask"][int(row["patch_id"])])
    np.testing.assert_array_equal(labels_HW[: mask.shape[0], : mask.shape[1]], mask)


# --- what the config asks for


def test_segment_says_which_heads_and_splits_are_stitched_and_how(tmp_path: Path) -> None:
    settings = {"heads": ["linear"], "splits": ["val", "test"], "probabilities": True, "blend": "gaussian"}
    clone = make_masked_clone(tmp_path / "clone", segment=settings)
    clone.snakemake("--cores", "2", LINEAR)
    assert not (clone.results / "stitched/pixels").exists()
    numbers = ids_of(clone)
    stitched = {int(path.stem) for path in (clone.results / "stitched/tiny/linear").glob("*.json")}
    assert stitched == {number for name, number in numbers.items() if not name.startswith("train/")}
    group = zarr.open_group(clone.results / f"stitched/tiny/linear/{numbers['test/odd']}.zarr", mode="r")
    probability_KHW, mask_HW = np.asarray(group["probability"]), np.asarray(group["mask"])
    assert probability_KHW.dtype == np.float16 and probability_KHW.shape == (2, *mask_HW.shape)
    np.testing.assert_allclose(probability_KHW.astype(np.float32).sum(0), 1, atol=2e-3)
    sure_HW = np.abs(np.subtract(*probability_KHW.astype(np.float32))) > 1e-3
    np.testing.assert_array_equal(probability_KHW.argmax(0)[sure_HW], mask_HW[sure_HW])
    assert score_of(clone, "tiny/linear")["blend"] == "gaussian"
    clone.configure(segment={**settings, "probabilities": False, "blend": "crop"})
    output = clone.snakemake("--cores", "2", LINEAR)
    assert (jobs(output, "train_mask_head"), jobs(output, "extract_patches")) == (0, 0)
    assert score_of(clone, "tiny/linear")["blend"] == "crop"
    assert "probability" not in zarr.open_group(group.store.root, mode="r")  # those of the other blend


# --- bad input


def spoil_all(clone: Clone) -> dict[str, str]:
    """One image for everything that may be wrong with a file; what its reason must say, by its name."""
    images, masks = clone.folder / "blobs/images/train", clone.folder / "blobs/masks/train"
    wrong = ("resized", "strange", "unmasked", "empty", "torn", "torn mask")
    for name in (*wrong, "pixel"):
        add_blobs(clone, f"train/{name}", *((1, 1) if name == "pixel" else (50, 60)))
    write_png(masks / "resized.png", np.zeros((50, 61), np.uint8))
    write_png(masks / "strange.png", np.full((50, 60), 7, np.uint8))
    (masks / "unmasked.png").unlink()
    write_image(images / "empty.png", b"")
    for path in (images / "torn.png", masks / "torn mask.png"):
        write_image(path, path.read_bytes()[: path.stat().st_size // 2])
    reasons = ("mask of 61 × 50 px for an image of 60 × 50 px", "the value 7", "no mask", "empty file", "truncated")
    return dict(zip(wrong, (*reasons, "its mask: broken image"), strict=True))


def test_bad_files_are_quarantined_with_their_reasons_and_the_others_go_on(tmp_path: Path) -> None:
    clone = make_masked_clone(tmp_path / "clone", dataset={**MASK_CONFIG["dataset"], "max_bad_share": 0.5})
    reasons = spoil_all(clone)
    clone.snakemake("--cores", "2", *SCORES, QUARANTINE)
    found = {Path(row["path"]).stem: row for row in rows_of(clone.results / "quarantine.csv")}
    assert found.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in found[name]["reason"]
        assert int(found[name]["image_id"]) == ids_of(clone)[f"train/{name}"]
    assert "images/train/torn.png is left out" in clone.logs("*")  # by the head that reads pixels itself
    for head in HEADS:
        for name in ("train/pixel", *BLOBS):
            assert mask_of(clone, head, ids_of(clone)[name]).max() <= 1
    clone.configure()
    output = clone.snakemake("--cores", "2", *SCORES, ok=False)
    assert "Too many images cannot be used" in output and "results/blobs/quarantine/tiny.csv" in output
    assert jobs(output, "train_mask_head") == 0


def rename_images(clone: Clone) -> None:
    (clone.folder / "blobs/images").rename(clone.folder / "blobs/imgs")


def delete_masks(clone: Clone) -> None:
    shutil.rmtree(clone.folder / "blobs/masks")
    (clone.folder / "blobs/masks").mkdir()


def forget_a_class(clone: Clone) -> None:
    clone.configure(dataset={**MASK_CONFIG["dataset"], "classes": {"background": [0], "blob": [9]}})


def give_a_value_two_classes(clone: Clone) -> None:
    clone.configure(dataset={**MASK_CONFIG["dataset"], "classes": {"background": [0, 255], "blob": [255]}})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (rename_images, "rename imgs/ to images/"),
        (delete_masks, "left out: 8 × no mask"),
        (forget_a_class, "mask has the value 255"),
        (give_a_value_two_classes, "classes: the value 255 stands for background and for blob"),
    ],
)
def test_a_dataset_that_cannot_be_learnt_is_refused_with_the_cause(
    tmp_path: Path, spoil: Callable[[Clone], None], message: str
) -> None:
    clone = make_masked_clone(tmp_path / "clone")
    spoil(clone)
    output = clone.snakemake("--cores", "2", *SCORES, ok=False)
    assert message in output
    assert "Traceback" not in output.replace("Traceback:", "")  # that of Snakemake itself
    assert jobs(output, "train_mask_head") == 0
