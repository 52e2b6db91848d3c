"""Words from stitched maps: thresholds are chosen on val, every word and detection is told, figures follow by hand."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from unchoke.polygons.maps import Window, draw_maps, target_of
from unchoke.store.tables import WORD_COLUMNS
from unchoke.store.zarr_bytes import MemoryGroup, place_group
from unchoke.text import score
from unchoke.text.boxes import boxes_of
from unchoke.text.score import Settings, icdar_names, read_bands, said, score_text, words_of, write_icdar

HEIGHT, WIDTH, STEP = 120, 200, 48
NEAR, FAR, STEEP = (10, 10, 90, 30), (110, 60, 190, 84), (20, 70, 60, 90)  # left, top, right, bottom; STEEP is a blot
SPLITS = {"1": "val", "2": "val", "3": "test", "4": "test", "5": "test"}
SETTINGS = Settings([0.3, 0.5], [0.3, 0.5, 0.7], 1.5, 3.0, 1000, False, "icdar2015")


def corners(box: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def kernels(*boxes: tuple[int, ...]) -> NDArray[np.uint8]:
    targets = [target_of(corners(box), False) for box in boxes]
    return draw_maps(targets, Window(0, 0, HEIGHT, WIDTH), HEIGHT, WIDTH).kernels_HW


def write_map(folder: Path, image: str, text_HW: NDArray[np.floating]) -> None:
    group = MemoryGroup({"classes": 2})
    probability_2HW = np.stack([1 - text_HW, text_HW]).astype(np.float16)
    group.root.create_array("probability", data=probability_2HW, chunks=(2, STEP, WIDTH))
    place_group(group.contents(), folder / f"{image}.zarr")


def scores_of() -> dict[str, Any]:
    """What ``score_masks`` says, as far as words need it."""
    images = {image: {"split": split, "unread_px": int(image == "5")} for image, split in SPLITS.items()}
    return {"images": images, "figures": {"val": {}, "test": {}}}


def table(*rows: tuple[int, tuple[int, ...], int]) -> pd.DataFrame:
    written = [
        (image, " ".join(f"{value}" for corner in corners(box) for value in corner), "", ignored, "gt.txt", "line 1")
        for image, box, ignored in rows
    ]
    return pd.DataFrame(written, columns=list(WORD_COLUMNS))


MANIFEST = pd.DataFrame({"image_id": [1, 2, 3, 4, 5], "split": list(SPLITS.values()), "group": "", "excluded": ""})
WORDS = [(1, NEAR, 0), (1, FAR, 0), (2, FAR, 0), (3, NEAR, 0), (3, FAR, 0), (4, NEAR, 0), (4, FAR, 1), (5, NEAR, 0)]


@pytest.mark.parametrize(("held_px", "reads"), [(HEIGHT * WIDTH, 1), (HEIGHT * WIDTH - 1, len(SETTINGS.binarise))])
def test_a_map_of_val_is_read_once_for_all_thresholds_if_it_can_be_held(
    stitched: Path, monkeypatch: pytest.MonkeyPatch, held_px: int, reads: int
) -> None:
    expected, read = score_text(scores_of(), stitched, MANIFEST, table(*WORDS), SETTINGS), []
    monkeypatch.setattr(score, "HELD_PX", held_px)
    monkeypatch.setattr(score, "read_bands", lambda folder, image: read.append(image) or read_bands(folder, image))
    assert score_text(scores_of(), stitched, MANIFEST, table(*WORDS), SETTINGS) == expected
    assert read.count("1") == reads + 1  # and once with the chosen ones


@pytest.fixture
def stitched(tmp_path: Path) -> Path:
    """Val finds all, beside a blot of 0.4; of test's three words one is missed, and a blot of 0.8 is no word."""
    blot_HW = kernels(STEEP)
    write_map(tmp_path, "1", 0.9 * kernels(NEAR, FAR) + 0.4 * blot_HW)
    write_map(tmp_path, "2", 0.9 * kernels(FAR))
    write_map(tmp_path, "3", 0.9 * kernels(NEAR) + 0.8 * blot_HW)
    write_map(tmp_path, "4", 0.9 * kernels(NEAR, FAR))
    unread_HW = 0.9 * kernels(NEAR).astype(np.float32)
    unread_HW[:, 150:] = np.nan
    write_map(tmp_path, "5", unread_HW)
    return tmp_path


def test_thresholds_leave_out_what_val_does_not_have_and_test_is_read_with_them(stitched: Path) -> None:
    found = score_text(scores_of(), stitched, MANIFEST, table(*WORDS), SETTINGS)
    # Without the blot of 0.4, H of val is 1; of equals the lowest thresholds are taken.
    assert (found["reading"]["binarise"], found["reading"]["box_score"]) == (0.3, 0.5)
    assert found["tried"]["h_mean"] == [[pytest.approx(6 / 7), 1.0, 1.0], [1.0, 1.0, 1.0]]
    test = {name: figure["value"] for name, figure in found["figures"]["test"].items()}
    # Of 3 words 2 are found, by 3 detections; the ignored word and its detection do not count, nor does image 5.
    assert test["precision"] == pytest.approx(2 / 3) and test["recall"] == pytest.approx(2 / 3)
    assert test["h_mean"] == pytest.approx(2 / 3)
    assert test["recall.medium"] == pytest.approx(2 / 3) and test["recall.curved"] is None
    assert found["figures"]["val"]["h_mean"]["value"] == 1 and "H-mean on val 1.0000" in said(found)


def test_every_detection_and_every_word_says_what_became_of_it(stitched: Path) -> None:
    images = score_text(scores_of(), stitched, MANIFEST, table(*WORDS), SETTINGS)["images"]
    assert [word["found"] for word in images["3"]["detections"]] == ["hit", "false alarm"]  # the surest first
    assert [word["found"] for word in images["3"]["words"]] == [True, False]
    assert sorted(word["found"] for word in images["4"]["detections"]) == ["hit", "ignored"]
    assert [word["ignored"] for word in images["4"]["words"]] == [False, True]
    polygon = np.array(images["3"]["detections"][0]["polygon"])
    assert np.abs([polygon.min(0), polygon.max(0)] - np.array([[10, 10], [90, 30]])).max() < 4
    assert len(images["5"]["detections"]) == 1  # it has no say, but its words are told


def test_bands_of_a_stored_map_give_the_words_of_the_whole_map(stitched: Path) -> None:
    bands = list(read_bands(stitched, "1"))
    assert [y0 for y0, _ in bands] == [0, 48, 96]
    whole_HW = np.concatenate([band for _, band in bands])
    reading = SETTINGS.reading(0.5, 0.7)
    found = score_text(scores_of(), stitched, MANIFEST, table(*WORDS), SETTINGS)["images"]["1"]["detections"]
    expected = sorted(boxes_of(whole_HW, reading).boxes, key=lambda box: -box.score)
    assert len(expected) == len(found) == 2
    for box, word in zip(expected, found, strict=True):
        np.testing.assert_allclose(word["polygon"], box.polygon, atol=0.006)


def test_without_a_word_that_counts_h_mean_is_undefined_and_the_first_thresholds_are_taken(stitched: Path) -> None:
    ignored = [(image, box, 1) for image, box, _ in WORDS]
    found = score_text(scores_of(), stitched, MANIFEST, table(*ignored), SETTINGS)
    assert found["tried"] is None and found["figures"]["test"]["h_mean"]["value"] is None
    assert (found["reading"]["binarise"], found["reading"]["box_score"]) == (0.3, 0.3)
    assert "undefined: no word of val counts" in said(found)


def test_icdars_files_have_a_word_a_line_and_one_name_each(stitched: Path, tmp_path: Path) -> None:
    images = score_text(scores_of(), stitched, MANIFEST, table(*WORDS), SETTINGS)["images"]
    paths = {"1": "a/img_1.jpg", "2": "a/img_2.jpg", "3": "b/img_1.jpg", "4": "x.png", "5": "y.png", "9": "gone.png"}
    (tmp_path / "icdar").mkdir()
    (tmp_path / "icdar/res_old.txt").write_text("of an image that is gone")
    files = write_icdar(tmp_path / "icdar", paths, images)
    assert sorted(file.name for file in files) == sorted(file.name for file in (tmp_path / "icdar").iterdir())
    assert [file.name for file in files[:3]] == ["res_1_img_1.txt", "res_img_2.txt", "res_3_img_1.txt"]
    (line,) = files[1].read_text().splitlines()
    numbers = np.array(line.split(","), np.int64).reshape(-1, 2)
    np.testing.assert_array_equal(numbers, np.round(images["2"]["detections"][0]["polygon"]).astype(int))


def test_names_are_those_of_images_unless_two_have_one() -> None:
    assert icdar_names({"7": "p/a.jpg", "8": "b.png"}) == {"7": "res_a.txt", "8": "res_b.txt"}


def test_words_of_an_image_are_its_own_in_order() -> None:
    words = words_of(table(*WORDS), 4)
    np.testing.assert_array_equal(words.polygons[0], corners(NEAR))
    assert words.ignored.tolist() == [False, True]


def test_the_log_counts_the_words_beyond_the_most(stitched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = replace(SETTINGS, max_words=1)
    score_text(scores_of(), stitched, MANIFEST, table(*WORDS), settings)
    # With the lowest thresholds image 1 has two words and the blot, images 3 and 4 have two words each.
    said_so = "3 images have more than 1 words (detection.max_words), such as 1, 3, 4: the 4 words"
    assert said_so in capsys.readouterr().out


def test_scores_of_masks_are_kept(stitched: Path) -> None:
    before = scores_of() | {"blend": "crop"}
    found = score_text(copy.deepcopy(before), stitched, MANIFEST, table(*WORDS), SETTINGS)
    assert found["blend"] == "crop" and found["images"]["3"]["split"] == "test"
