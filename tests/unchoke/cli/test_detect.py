"""``unchoke detect``: a text file for each picture, all words with their scores in one file."""

import json
from pathlib import Path

import numpy as np
import pytest
from api.test_detect import READING, head_of
from PIL import Image

from unchoke.cli.main import main
from unchoke.files import write_atomic
from unchoke.mask_heads import head as heads
from unchoke.signed import signed_bytes

CONFIG = "dataset: {name: words, kind: text, path: words}\nencoders: {tiny: {model: test_resnet, strides: [4]}}\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a config and a finished run, whose head sees bright bars as words."""
    monkeypatch.chdir(tmp_path)
    checkpoint = Path("results/words/checkpoints/pixels/unet.safetensors")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    monkeypatch.setattr(heads, "read_mask_checkpoint", lambda path: head_of(path))
    write_atomic(Path("results/words/scores/pixels/unet.json"), signed_bytes({"reading": READING._asdict()}))
    Path("my.yaml").write_text(CONFIG)


@pytest.mark.usefixtures("run")
def test_words_are_written_beside_each_other_and_unreadable_pictures_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bars_HW3 = np.zeros((150, 220, 3), np.uint8)
    bars_HW3[20:32, 15:75] = bars_HW3[90:104, 100:200] = 255
    Path("in/deep").mkdir(parents=True)
    Image.fromarray(bars_HW3).save("in/deep/bars.png")
    Image.fromarray(0 * bars_HW3).save("in/dark.png")
    Path("in/broken.jpg").write_bytes(b"no image")
    command = ["detect", "in", "--head", "pixels/unet", "-c", "my.yaml", "--out", "out"]
    assert main(command) == 3
    lines = Path("out/deep/bars.txt").read_text().splitlines()
    corners = [np.array(line.split(","), int).reshape(-1, 2) for line in lines]
    assert [tuple(word.mean(0).round()) for word in corners] == [(45, 26), (150, 97)]
    assert Path("out/dark.txt").read_bytes() == b""
    words = json.loads(Path("out/words.json").read_text())
    assert {name: len(found) for name, found in words.items()} == {"in/deep/bars.png": 2, "in/dark.png": 0}
    assert all(word["score"] > 0.9 for word in words["in/deep/bars.png"])
    said = capsys.readouterr().err
    assert "! in/broken.jpg: " in said and "2 words of 2 of 3 pictures in out" in said
    assert main(command) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
