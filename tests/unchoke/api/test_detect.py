"""Words of one image: those of its stitched map, with the thresholds of the run that the checkpoint lies in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import unchoke
from unchoke.api.detect import chosen_reading
from unchoke.errors import UnchokeError
from unchoke.files import write_atomic
from unchoke.mask_heads.head import MaskHead, kind_of
from unchoke.signed import signed_bytes
from unchoke.text.boxes import Reading

SETTINGS = {"kind": "unet", "width": 4, "precision": "float32"}
READING = Reading(binarise=0.3, box_score=0.5, polygons=False)


def head_of(path: Path) -> MaskHead:
    """A head whose probability of text is high on bright pixels: its last layer sees the red channel alone."""
    module = kind_of(SETTINGS).build({"pixels": 3}, {"pixels": 1}, 2, SETTINGS)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d | torch.nn.Conv2d):
            for parameter in part.parameters():
                torch.nn.init.zeros_(parameter)
    brightness(module)
    tensors = module.state_dict()
    places = {"channels": {"pixels": 3}, "strides": {"pixels": 1}, "patch_px": 64, "radius_px": 20}
    return MaskHead(path, SETTINGS, ["background", "text"], **places, encoder=None, replicates=[tensors])


def brightness(module: torch.nn.Module) -> None:
    """Pass the first channel through the first level and the way up, so that the logit of text is 40 r - 20."""
    for block in (*module.top, *module.up_top, *module.close[0]):
        block[0].weight.data[0, 0, 1, 1] = 1
        block[1].weight.data[0] = 1
    module.narrow_top.weight.data[0, 0] = 0
    half = module.up_top[0][0].in_channels // 2
    module.up_top[0][0].weight.data[0] = 0
    module.up_top[0][0].weight.data[0, half, 1, 1] = 1  # behind what comes from below stands the first level
    module.close[1].weight.data[1, 0] = 40
    module.close[1].bias.data[1] = -20


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Two bright bars on black; one crosses the border of patches."""
    pixels_HW3 = np.zeros((150, 220, 3), np.uint8)
    pixels_HW3[20:32, 15:75] = pixels_HW3[90:104, 100:200] = 255
    Image.fromarray(pixels_HW3).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_words_are_found_whole_across_patches(picture: Path) -> None:
    found = unchoke.detect(picture, head_of(Path("head")), device="cpu", reading=READING)
    ends = [(*box.polygon.min(0), *box.polygon.max(0)) for box in found]
    grown = [(end, end * 1.5 / (2 * sum(sides))) for end, sides in ((60 * 12, (60, 12)), (100 * 14, (100, 14)))]
    expected = [(15, 20, 75, 32), (100, 90, 200, 104)]
    for (left, top, right, bottom), (x0, y0, x1, y1), (_, by) in zip(ends, expected, grown, strict=True):
        np.testing.assert_allclose([left, top, right, bottom], [x0 - by, y0 - by, x1 + by, y1 + by], atol=1.6)
    assert all(box.score > 0.95 for box in found)


def test_thresholds_are_those_of_the_run_and_without_them_it_says_what_to_give(picture: Path, tmp_path: Path) -> None:
    head = head_of(tmp_path / "results/words/checkpoints/lite0/db.safetensors")
    with pytest.raises(UnchokeError, match=r"(?s)thresholds .* are not known.*scores/lite0/db\.json.*give reading="):
        unchoke.detect(picture, head, device="cpu")
    with pytest.raises(UnchokeError, match="not known"):
        chosen_reading(Path("db.safetensors"))
    scores = tmp_path / "results/words/scores/lite0/db.json"
    write_atomic(scores, signed_bytes({"reading": READING._replace(min_side=13.0)._asdict()}))
    (box,) = unchoke.detect(picture, head, device="cpu")  # the lower bar is 14 px high, the upper one 12
    assert box.polygon[:, 1].min() > 80


def test_a_head_of_other_classes_is_refused(picture: Path) -> None:
    head = replace(head_of(Path("head")), classes=["ground", "cell"])
    with pytest.raises(UnchokeError, match=r"(?s)does not find words.*ground, cell.*background, text"):
        unchoke.detect(picture, head, device="cpu", reading=READING)
