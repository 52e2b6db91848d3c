"""Where masks go: by the names of their pictures, never two in one place."""

from pathlib import Path

import pytest

from unchoke.cli.segment import masks_of
from unchoke.errors import UnchokeError


def test_masks_lie_as_their_pictures_do() -> None:
    pictures = {
        Path("in/a/1.tif"): Path("a/1.tif"),
        Path("in/b/1.tif"): Path("b/1.tif"),
        Path("x.y.gif"): Path("x.y.gif"),
    }
    masks = {"in/a/1.tif": "out/a/1.png", "in/b/1.tif": "out/b/1.png", "x.y.gif": "out/x.y.png"}
    assert masks_of(pictures, Path("out")) == {Path(key): Path(value) for key, value in masks.items()}


def test_two_pictures_of_one_name_are_refused() -> None:
    with pytest.raises(UnchokeError, match=r"a/1\.png and b/1\.jpg"):
        masks_of({Path("a/1.png"): Path("1.png"), Path("b/1.jpg"): Path("1.jpg")}, Path("out"))
