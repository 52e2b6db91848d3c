"""Scores of a split are those of all its pixels together, by scikit-learn, of images that could be read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score

from unchoke.errors import UnchokeError
from unchoke.files import write_atomic
from unchoke.signed import read_signed, signed_bytes
from unchoke.stitching.score import score_masks, write_scores
from unchoke.store.zarr_bytes import MemoryGroup, place_group

CLASSES = ["zebra", "background", "apple"]
K = len(CLASSES)
SPLITS = ["train", "train", "val", "val", "test", "test", "test", "test"]
FACTS = {"blend": "crop", "exact": True, "halo_px": 8, "height": 20, "width": 30}


def pixels_of(image_id: int, classes: int = K) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of an image, of another size each."""
    rng = np.random.default_rng(image_id)
    truth = rng.integers(0, classes, 200 + 50 * image_id)
    return truth, np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, classes, truth.shape))


def write(folder: Path, unread: tuple[int, ...] = (), classes: int = K, images: range = range(8)) -> None:
    place_group(MemoryGroup({"classes": CLASSES, "reach_px": 5}).contents(), folder / "head")
    for image_id in images:
        truth, predicted = pixels_of(image_id, classes)
        counts = confusion_matrix(truth, predicted, labels=range(K)).tolist()
        seams = {"differ_px": image_id, "shared_px": 100, "unread_px": 9 * (image_id in unread)}
        write_atomic(folder / f"stitched/{image_id}.json", signed_bytes({**FACTS, **seams, "counts": counts}))
        write_atomic(folder / f"stitched/{image_id}.bands/0.json", b"{}")


def manifest(**columns: list[str]) -> pd.DataFrame:
    plain = {"image_id": range(len(SPLITS)), "split": SPLITS, "group": "", "excluded": ""}
    return pd.DataFrame({**plain, **columns})


def score(folder: Path, frame: pd.DataFrame | None = None) -> dict[str, Any]:
    frame = manifest() if frame is None else frame
    found = score_masks(folder / "head", folder / "stitched", frame)
    write_scores(folder / "scores.json", found)
    return found


def together(images: list[int], classes: int = K) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = zip(*(pixels_of(image, classes) for image in images), strict=True)
    return np.concatenate(truth), np.concatenate(predicted)


def assert_scikit_learns(figures: dict[str, dict[str, float]], images: list[int]) -> None:
    both = together(images)
    iou_K, dice_K = jaccard_score(*both, average=None), f1_score(*both, average=None)
    for place, name in enumerate(CLASSES):
        assert figures[f"iou.{name}"]["value"] == pytest.approx(iou_K[place])
        assert figures[f"dice.{name}"]["value"] == pytest.approx(dice_K[place])
    assert figures["mean_iou"]["value"] == pytest.approx(iou_K.mean())
    assert figures["mean_dice"]["value"] == pytest.approx(dice_K.mean())
    assert figures["pixel_accuracy"]["value"] == pytest.approx(accuracy_score(*both))


def test_figures_are_scikit_learns_of_all_pixels_of_the_split(tmp_path: Path) -> None:
    write(tmp_path)
    found = score(tmp_path)
    assert set(found["figures"]) == {"val", "test"}
    assert_scikit_learns(found["figures"]["val"], [2, 3])
    assert_scikit_learns(found["figures"]["test"], [4, 5, 6, 7])
    for name, figure in found["figures"]["test"].items():
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert (figure["sd"] is None) != name.startswith("image_")  # over images
    assert found["figures"]["test"]["mean_iou"]["low"] < found["figures"]["test"]["mean_iou"]["high"]


@pytest.mark.parametrize("unread", [(5,), (4, 7)])
def test_images_that_were_not_read_throughout_are_listed_and_have_no_say(
    tmp_path: Path, unread: tuple[int, ...]
) -> None:
    write(tmp_path, unread)
    found = score(tmp_path)
    assert_scikit_learns(found["figures"]["test"], [image for image in (4, 5, 6, 7) if image not in unread])
    assert {int(image) for image, entry in found["images"].items() if entry["unread_px"]} == set(unread)


def test_images_that_are_marked_or_unknown_now_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, images=range(9))  # the last one is of another run
    found = score(tmp_path, manifest(excluded=["", "", "", "", "", "vanished", "", ""]))
    assert list(found["images"]) == ["0", "1", "2", "3", "4", "6", "7"]
    assert_scikit_learns(found["figures"]["test"], [4, 6, 7])


def test_each_image_has_its_split_and_its_counts(tmp_path: Path) -> None:
    write(tmp_path)
    found = score(tmp_path)
    for image, entry in found["images"].items():
        truth, predicted = pixels_of(int(image))
        assert entry == {
            "split": SPLITS[int(image)],
            "counts": confusion_matrix(truth, predicted).tolist(),
            "differ_px": int(image),
            "shared_px": 100,
            "unread_px": 0,
        }
    assert {name: found[name] for name in ("classes", "blend", "exact", "halo_px", "reach_px")} == {
        "classes": CLASSES,
        "blend": "crop",
        "exact": True,
        "halo_px": 8,
        "reach_px": 5,
    }
    assert read_signed(tmp_path / "scores.json", "file") == found


def test_a_class_that_is_nowhere_has_no_figure_and_no_part_in_the_mean(tmp_path: Path) -> None:
    write(tmp_path, classes=2)
    figures = score(tmp_path)["figures"]["test"]
    assert figures["iou.apple"]["value"] is None and figures["dice.apple"]["value"] is None
    assert figures["mean_iou"]["value"] == pytest.approx(jaccard_score(*together([4, 5, 6, 7], 2), average="macro"))


def test_images_of_one_group_are_drawn_together(tmp_path: Path) -> None:
    write(tmp_path)
    alone = score(tmp_path)["figures"]
    one = score(tmp_path, manifest(group=[*[""] * 2, *["p"] * 2, *["q"] * 4]))["figures"]
    two = score(tmp_path, manifest(group=[*[""] * 2, *["p"] * 2, "q", "q", "r", "r"]))["figures"]
    for figures in (one, two):
        assert {name: figure["value"] for name, figure in figures["test"].items()} == {
            name: figure["value"] for name, figure in alone["test"].items()
        }
    assert two["test"]["mean_iou"] != alone["test"]["mean_iou"]
    assert one["test"]["mean_iou"] != two["test"]["mean_iou"]


def test_the_same_summaries_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path)
    score(tmp_path)
    before = (tmp_path / "scores.json").read_bytes()
    score(tmp_path)
    assert (tmp_path / "scores.json").read_bytes() == before


@pytest.mark.parametrize(("split", "unread"), [("val", (2, 3)), ("test", (4, 5, 6, 7))])
def test_a_split_of_which_no_image_could_be_read_is_named(tmp_path: Path, split: str, unread: tuple[int, ...]) -> None:
    write(tmp_path, unread)
    with pytest.raises(UnchokeError, match=f"No image of the {split} split could be read"):
        score(tmp_path)
    assert not (tmp_path / "scores.json").exists()
