"""Ground truth of ICDAR 2015 and one detector's result, where they lie beside the repository."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from unchoke.metrics.word_matches import Words

FOLDER = "shared/data/hmean"


def folder() -> Path:
    """The folder of both archives; the test is skipped where there is none."""
    found = [parent / FOLDER for parent in Path(__file__).resolve().parents if (parent / FOLDER).is_dir()]
    if not found:
        pytest.skip(f"no {FOLDER} beside the repository")
    return found[0]


def known_images() -> list[tuple[Words, list[NDArray[np.float64]]]]:
    """Words and detections of each of the 500 images."""
    truth, found = read_archive(folder() / "gt_IC15.zip"), read_archive(folder() / "result.zip")
    return [(words, list(found[number].polygons)) for number, words in sorted(truth.items())]


def read_archive(path: Path) -> dict[int, Words]:
    """By number of the image its quadrilaterals; those with the transcription ### are ignored."""
    with zipfile.ZipFile(path) as archive:
        names = {name: re.fullmatch(r"(?:gt|res)_img_(\d+)\.txt", name) for name in archive.namelist()}
        return {
            int(match[1]): words_of(archive.read(name).decode("utf-8-sig")) for name, match in names.items() if match
        }


def words_of(text: str) -> Words:
    """Of the lines `x1,y1,…,x4,y4` or `x1,y1,…,x4,y4,transcription`."""
    lines = [line.split(",", 8) for line in text.split("\n") if line.strip()]
    polygons = [np.array(line[:8], np.float64).reshape(4, 2) for line in lines]
    return Words(polygons, np.array([line[8:] != [] and line[8].strip() == "###" for line in lines], bool))
