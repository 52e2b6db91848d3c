"""Samples: as many as asked for, by a seed, in their order; patches of whole images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unchoke.errors import UnchokeError
from unchoke.profiling.sample import Effort, draw_images, draw_patches

ROOT = Path("images")


def test_a_sample_is_drawn_by_its_seed() -> None:
    paths = [f"{number:03}" for number in range(100)]
    drawn = [draw_images("folder", ROOT, paths, 2, Effort(1, 40, seed)).paths for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(drawn[0])
    assert len(set(drawn[0])) == 40


def test_ten_images_are_too_few() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)too few images.*10 images.*at least 32"):
        draw_images("folder", ROOT, [str(number) for number in range(10)], 2, Effort(1, 40, 0))


def write_pictures(folder: Path, count: int) -> list[str]:
    """Pictures of 100 × 60 px: with patches of 40 px that share 10, three times two of them."""
    for number in range(count):
        Image.fromarray(np.full((60, 100, 3), number, np.uint8)).save(folder / f"{number}.png")
    return [f"{number}.png" for number in range(count)]


def test_patches_are_those_of_whole_images_and_broken_ones_are_named(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 8)
    (tmp_path / "3.png").write_bytes(b"no image")
    patches, unreadable = draw_patches(tmp_path, paths, 40, 10, 2, Effort(1, 64, 0))
    assert list(unreadable) == ["3.png"]
    assert len(patches.names) == 7 * 6
    assert patches.names[:4] == ["0.png at 0, 0", "0.png at 0, 30", "0.png at 0, 60", "0.png at 30, 0"]
    few, _ = draw_patches(tmp_path, paths, 40, 10, 2, Effort(1, 33, 0))
    assert len(few.names) == 33 and few.rows["path"].nunique() == 6
    assert few.only(few.names[2:4]).names == few.names[2:4]


def test_few_patches_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)too few images.*24 patches of 4 images that can be read.*at least 32"):
        draw_patches(tmp_path, write_pictures(tmp_path, 4), 40, 10, 2, Effort(1, 64, 0))
