"""Masks of new pictures: where they go, what they hold, and what is said of pictures that cannot be read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_patches import random_picture, write_picture

import unchoke
from unchoke.cli.main import main
from unchoke.cli.pictures import files_of
from unchoke.errors import UnchokeError
from unchoke.mask_heads import head as heads

SETTINGS = {"kind": "unet", "width": 4, "precision": "float32"}
CONFIG = "dataset: {name: cells, kind: masks, path: cells}\nencoders: {tiny: {model: test_resnet, strides: [4]}}\n"


def test_masks_lie_as_their_pictures_do() -> None:
    below = {"in/a/1.tif": "a/1.tif", "in/b/1.tif": "b/1.tif", "x.y.gif": "x.y.gif"}
    pictures = {Path(picture): Path(path) for picture, path in below.items()}
    masks = {"in/a/1.tif": "out/a/1.png", "in/b/1.tif": "out/b/1.png", "x.y.gif": "out/x.y.png"}
    assert files_of(pictures, Path("out"), ".png") == {Path(key): Path(value) for key, value in masks.items()}


def test_two_pictures_of_one_name_are_refused() -> None:
    with pytest.raises(UnchokeError, match=r"a/1\.png and b/1\.jpg"):
        files_of({Path("a/1.png"): Path("1.png"), Path("b/1.jpg"): Path("1.jpg")}, Path("out"), ".png")


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> heads.MaskHead:
    """A U-Net of random weights in place of a checkpoint; the working directory has its config."""
    torch.manual_seed(0)
    module = heads.kind_of(SETTINGS).build({"pixels": 3}, {"pixels": 1}, 3, SETTINGS)
    places = {"channels": {"pixels": 3}, "strides": {"pixels": 1}, "patch_px": 64}
    weights, classes = [module.state_dict()], ["a", "b", "c"]
    head = heads.MaskHead(Path("h"), SETTINGS, classes, **places, encoder=None, radius_px=28, replicates=weights)
    monkeypatch.setattr(heads, "read_mask_checkpoint", lambda path: head)
    monkeypatch.chdir(tmp_path)
    checkpoint = Path("results/cells/checkpoints/pixels/unet.safetensors")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    Path("my.yaml").write_text(CONFIG)
    return head


def test_a_mask_is_a_png_of_the_numbers_that_python_gets(
    head: heads.MaskHead, capsys: pytest.CaptureFixture[str]
) -> None:
    write_picture(Path("in/deep/größe 图.png"), random_picture(90, 70))
    Path("in/broken.jpg").write_bytes(b"no image")
    command = ["segment", "in", "--head", "pixels/unet", "-c", "my.yaml", "--out", "out"]
    assert main(command) == 3
    with Image.open("out/deep/größe 图.png") as mask:
        expected = unchoke.segment("in/deep/größe 图.png", head, device="cpu")
        np.testing.assert_array_equal(np.asarray(mask), expected)
        assert mask.getpalette("RGB")[:6] == [0, 0, 0, 230, 159, 0]
    said = capsys.readouterr().err
    assert "! in/broken.jpg: " in said and "1 of 2 masks" in said and "0 a, 1 b, 2 c" in said
    assert main(command) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
