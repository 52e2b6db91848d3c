"""Work on a picture grows with its pixels, not with its aspect ratio: lines of 60,000 px go through every reader."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from unchoke.cleaning.fingerprint import fingerprint_chunk

LINES = """
import sys
from pathlib import Path
import pandas as pd
from unchoke.cleaning.fingerprint import fingerprint_chunk
from unchoke.images.given import read_picture
from unchoke.report.mask_pictures import block_means, every, reduced
from unchoke.report.mistakes import Mistake, draw_mistakes
from unchoke.report.thumbnails import thumbnails
from unchoke.images.grid import Grid
from unchoke.images.windows import image_size, open_image, open_mask, read_labels, read_patch
root = Path(sys.argv[1])
def peak():
    return int(next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x).split()[1])
def fingerprints(name):
    rows = pd.DataFrame({"image_id": [0], "path": [name], "size_bytes": [1]})
    assert fingerprint_chunk(rows, "folder", root, 10**6, 1024).valid.all()
def mistakes(name):
    pictures = thumbnails("folder", root, [name], 96, 10**6)
    assert sorted(pictures[0].shape) == [1, 3, 96]
    draw_mistakes([Mistake(pictures[0], "a", "b", 0.9, name)], 1, 1, "head").canvas.draw()
def patches(name):
    image, mask = open_image(root / name, 10**6), open_mask(root / ("mask_" + name), 10**6)
    height, width = image_size(root / name)
    assert (image.height, image.width) == (mask.height, mask.width) == (height, width)
    grid = Grid(height, width, 64, 0)
    for place in (0, grid.rows * grid.columns - 1):
        patch = grid.patch(place)
        assert read_patch(image, patch.y0, patch.x0, 64).shape == (64, 64, 3)
        labels = read_labels(mask, patch.y0, patch.x0, 64, {"a": [0], "b": [1]}, None)
        assert (labels == 255).sum() == 64 * 64 - 64 + max(0, -max(height, width) % 64) * (place > 0)
def overlays(name):
    image, mask = open_image(root / name, 10**6), open_mask(root / ("mask_" + name), 10**6)
    small = reduced(image.read, image.height, image.width, 100, block_means)
    assert sorted(small.shape) == [1, 3, 600], small.shape
    assert sorted(reduced(mask.read, mask.height, mask.width, 100, every).shape) == [1, 600]
def library(name):
    assert sorted(read_picture(root / name, max_pixels=10**6).size) == [1, 60_000]
jobs = fingerprints, mistakes, patches, overlays, library
fingerprints("small.png")  # what it holds for any picture
for job in jobs:
    before = peak()
    for name in ("wide.png", "tall.png"):
        job(name)
    assert peak() - before < 80 * 1024, (job.__name__, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_lines_go_through_every_reader_in_little_memory(tmp_path: Path) -> None:
    for name, sides in {"wide": (60_000, 1), "tall": (1, 60_000), "small": (20, 20)}.items():
        Image.new("RGB", sides, "red").save(tmp_path / f"{name}.png")
        Image.new("L", sides, 1).save(tmp_path / f"mask_{name}.png")
    done = subprocess.run([sys.executable, "-c", LINES, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("sides", [(2**17 + 1, 1), (1, 2**17 + 1)])
def test_a_longer_side_is_refused_by_name(tmp_path: Path, sides: tuple[int, int]) -> None:
    Image.new("L", sides).save(tmp_path / "a.png")
    rows = pd.DataFrame({"image_id": [0], "path": ["a.png"], "size_bytes": [1]})
    found = fingerprint_chunk(rows, "folder", tmp_path, 10**8, 1024)
    assert not found.valid.any()
    assert found.reasons == {0: f"{sides[0]} × {sides[1]} px, a side above 131072 px"}
    assert not np.any(found.hashes)
