"""Words on test images: which images are shown, and a line for every word and detection."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Polygon
from small_patches import random_picture, write_picture

from report.test_figures import texts
from unchoke.files import json_bytes, write_atomic
from unchoke.metrics.h_mean import STRATA
from unchoke.report.mask_pictures import PictureFiles
from unchoke.report.words.overlays import KINDS, draw_text_overlays, h_mean_of, outlines_of, text_overlays

BOX = [[10.0, 10.0], [90.0, 10.0], [90.0, 30.0], [10.0, 30.0]]


def entry_of(matched: int, detections: int, words: int, split: str = "test") -> dict[str, Any]:
    counts = [[matched, detections, words], *([[0, 0, 0]] * (len(STRATA) - 1))]
    found = [{"polygon": BOX, "score": 0.9, "found": kind} for kind in ("hit", "false alarm", "ignored")]
    true = [{"polygon": BOX, "ignored": False, "found": found} for found in (True, False)]
    true.append({"polygon": BOX, "ignored": True, "found": False})
    return {"split": split, "unread_px": 0, "counts_of_words": counts, "detections": found, "words": true}


@pytest.fixture
def files(tmp_path: Path) -> PictureFiles:
    """Four images of 200 × 2,200 px; the file of the last one is gone."""
    paths = {image: f"{image}.png" for image in (1, 2, 3, 4)}
    for image in (1, 2, 3):
        write_picture(tmp_path / paths[image], random_picture(200, 2200))
    write_atomic(tmp_path / "grids.json", json_bytes({str(image): {"height": 200, "width": 2200} for image in paths}))
    return PictureFiles(tmp_path, paths, tmp_path / "grids.json", 10**8)


def test_images_stand_from_the_worst_to_the_best_and_those_without_words_are_left_out(files: PictureFiles) -> None:
    counts = {"1": (2, 2, 2), "2": (1, 2, 2), "3": (0, 1, 0), "4": (0, 1, 2)}
    found = list(text_overlays({"images": {image: entry_of(*each) for image, each in counts.items()}}, files))
    assert [overlay.path for overlay in found] == ["4.png", "2.png", "1.png"]
    assert [overlay.rank for overlay in found] == ["worst", "median", "best"]
    assert isinstance(found[0].picture_HW3, str) and found[1].picture_HW3.shape[:2] == (67, 734)  # a third
    figure = draw_text_overlays(found, 3, "lite0 · db")
    said = texts(figure)
    assert "worst: H-mean 0.000: 0 of 2 words, 1 false alarm |" in said and "best: H-mean 1.000" in said
    assert all(label in said for label, _, _ in KINDS.values())
    alike = [replace(overlay, rank="") for overlay in found]
    assert "3 of 3 images, all with the same H-mean" in texts(draw_text_overlays(alike, 3, "t"))


def test_every_word_and_detection_has_a_line_of_its_kind_and_a_found_word_none_of_its_own() -> None:
    lines = outlines_of(entry_of(1, 2, 2), 2)
    assert [kind for kind, _ in lines] == ["hit", "false alarm", "ignored", "missed", "ignored"]
    np.testing.assert_array_equal(lines[0][1], np.array(BOX) / 2)


def test_lines_lie_where_the_words_are(files: PictureFiles) -> None:
    (overlay,) = text_overlays({"images": {"1": entry_of(1, 2, 2)}}, files)
    drawn = draw_text_overlays([overlay], 1, "t").findobj(Polygon)
    assert len(drawn) == 5
    np.testing.assert_allclose(drawn[0].get_xy()[:4], np.array(BOX) / 3)


def test_without_a_word_that_counts_there_is_a_note() -> None:
    assert "no test image has a word that counts" in texts(draw_text_overlays([], 2, "t"))
    assert np.isnan(h_mean_of([0, 1, 0])) and h_mean_of([1, 2, 2]) == 0.5
