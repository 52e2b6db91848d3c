"""The mask of one large image against what its network says of all of it at once."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr
from numpy.typing import NDArray
from PIL import Image
from small_patches import random_picture, write_picture

import unchoke
from unchoke.api.segment import least_overlap
from unchoke.errors import UnchokeError
from unchoke.mask_heads.head import MaskHead, kind_of

SIZE = 128
SETTINGS = {"kind": "unet", "width": 4, "precision": "float32"}
RADIUS_PX = 28  # of the receptive field of the U-Net


def head_on_pixels(radius_px: int | None = RADIUS_PX, patch_px: int = SIZE) -> MaskHead:
    """A U-Net of random weights whose batch norms have seen pictures."""
    torch.manual_seed(0)
    module = kind_of(SETTINGS).build({"pixels": 3}, {"pixels": 1}, 3, SETTINGS)
    tensors = {name: 3 * x if x.ndim == 4 else x for name, x in module.state_dict().items()}  # so that pixels differ
    module.load_state_dict(tensors)
    module.train()
    module({"pixels": torch.rand(4, 3, 64, 64)})
    classes = ["a", "b", "c"]
    places = {"channels": {"pixels": 3}, "strides": {"pixels": 1}, "patch_px": patch_px}
    return MaskHead(
        Path("head"), SETTINGS, classes, **places, encoder=None, radius_px=radius_px, replicates=[module.state_dict()]
    )


def whole(head: MaskHead, image_HW3: NDArray[np.uint8], overlap: int) -> NDArray[np.int64]:
    """Classes from one pass over the image, reflected as far as its patches reach."""
    step = head.patch_px - overlap
    reached = [max(1, -(-(side - overlap) // step)) * step + overlap for side in image_HW3.shape[:2]]
    more = [(0, far - side) for far, side in zip(reached, image_HW3.shape, strict=False)]
    padded = np.pad(image_HW3, [*more, (0, 0)], mode="reflect")
    with torch.inference_mode():
        logits = head.modules[0]({"pixels": torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255})
    height, width = image_HW3.shape[:2]
    found: NDArray[np.int64] = logits[0].argmax(0).numpy()[:height, :width]
    return found


@pytest.mark.parametrize("sides", [(300, 217), (129, 400), (60, 50)])
def test_the_least_overlap_gives_the_answer_of_the_whole_image(sides: tuple[int, int], tmp_path: Path) -> None:
    head, image = head_on_pixels(), random_picture(*sides)
    write_picture(tmp_path / "image.png", image)
    assert least_overlap(head) == 2 * RADIUS_PX
    found = unchoke.segment(tmp_path / "image.png", head, device="cpu")
    assert found.shape == sides and found.dtype == np.uint8
    assert (found != whole(head, image, 2 * RADIUS_PX)).mean() < 1e-4  # ties apart, to rounding


def test_too_little_overlap_does_not(tmp_path: Path) -> None:
    head, image = head_on_pixels(), random_picture(300, 217)
    write_picture(tmp_path / "image.png", image)
    found = unchoke.segment(tmp_path / "image.png", head, device="cpu", overlap=4, blend="crop")
    assert (found != whole(head, image, 4)).mean() > 1e-3


@pytest.mark.parametrize(("radius_px", "overlap"), [(None, 32), (33, 32), (32, 64), (3, 6), (0, 0)])
def test_the_least_overlap_holds_the_receptive_field_where_it_fits(radius_px: int | None, overlap: int) -> None:
    assert least_overlap(head_on_pixels(radius_px)) == overlap


def test_a_mask_may_be_written_band_by_band(tmp_path: Path) -> None:
    head = head_on_pixels()
    write_picture(tmp_path / "image.png", random_picture(300, 217))
    array = unchoke.segment(tmp_path / "image.png", head, device="cpu", output=tmp_path / "mask.zarr")
    np.testing.assert_array_equal(array[:], unchoke.segment(tmp_path / "image.png", head, device="cpu"))
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "mask.zarr", mode="r")["mask"][:], array[:])


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"no image")
    with pytest.raises(UnchokeError, match=r"cannot be read(.|\n)*image\.png"):
        unchoke.segment(tmp_path / "image.png", head_on_pixels(), device="cpu")


def test_a_file_that_is_no_mask_head_is_refused(tmp_path: Path) -> None:
    (tmp_path / "head.safetensors").write_bytes(b"")
    Image.new("RGB", (4, 4)).save(tmp_path / "image.png")
    with pytest.raises(UnchokeError, match="no mask head"):
        unchoke.segment(tmp_path / "image.png", tmp_path / "head.safetensors")


def test_memory_does_not_grow_with_the_height(tmp_path: Path) -> None:
    head, peaks = head_on_pixels(), {}
    for height in (400, 400, 1600):  # the first to import what is needed
        grey_HW = np.random.default_rng(0).integers(0, 256, (height, 128), np.uint8)
        tifffile.imwrite(tmp_path / f"{height}.tif", grey_HW)
        tracemalloc.start()
        unchoke.segment(tmp_path / f"{height}.tif", head, device="cpu", output=tmp_path / f"{height}.zarr")
        peaks[height] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[1600] < 1.2 * peaks[400]  # a kilobyte a band; a whole image of it would be four times as much
