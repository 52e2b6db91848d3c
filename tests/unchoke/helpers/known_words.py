"""Ground truth of ICDAR 2015 and one detector's result, where they lie beside the repository."""

import re
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unchoke.metrics.word_matches import Words
from unchoke.polygons.lines import parse_lines
from unchoke.polygons.word import Word

FOLDER = "shared/data/hmean"


def folder() -> Path | None:
    """The folder of both archives, if there is one."""
    return next((path / FOLDER for path in Path(__file__).resolve().parents if (path / FOLDER).is_dir()), None)


def known_images(folder: Path) -> list[tuple[Words, list[NDArray[np.float64]]]]:
    """Words and detections of each of the 500 images."""
    truth, found = read_archive(folder / "gt_IC15.zip"), read_archive(folder / "result.zip")
    return [(words, list(found[number].polygons)) for number, words in sorted(truth.items())]


def read_archive(path: Path) -> dict[int, Words]:
    """By number of the image its words; no line has a fault."""
    with zipfile.ZipFile(path) as archive:
        names = {name: re.fullmatch(r"(?:gt|res)_img_(\d+)\.txt", name) for name in archive.namelist()}
        lines = {int(match[1]): parse_lines(archive.read(name)) for name, match in names.items() if match}
    return {number: words_of(words) for number, words in lines.items()}


def words_of(words: list[Word]) -> Words:
    assert not any(word.fault for word in words)
    return Words([np.array(word.corners) for word in words], np.array([word.ignored for word in words], bool))
