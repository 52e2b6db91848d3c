"""What a mask head says of a chunk is what its networks say of each patch by itself; unread patches get no answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small_patches import PER_CHUNK, SIDES, SIZE, build, cut_by_hand, patches_of, rows_of, write_pairs

from unchoke.errors import UnchokeError
from unchoke.mask_heads.head import MaskHead, kind_of
from unchoke.mask_heads.predict import cached_maps, predict_patches, read_pixels
from unchoke.store import chunks

CPU = torch.device("cpu")
CLASSES = ["a", "b", "c"]
MAPS = {"s4": (5, 4), "s8": (7, 8)}


def head_of(kind: str, classes: list[str] = CLASSES) -> MaskHead:
    """A head of two networks that were never trained."""
    settings = {"kind": kind, "precision": "float32", "width": 4}
    channels = {"pixels": 3} if kind == "unet" else {name: width for name, (width, _) in MAPS.items()}
    strides = {"pixels": 1} if kind == "unet" else {name: stride for name, (_, stride) in MAPS.items()}
    replicates = []
    for seed in range(2):
        torch.manual_seed(seed)
        tensors = kind_of(settings).build(channels, strides, len(classes), settings).state_dict()
        replicates.append({name: 3 * x if x.ndim == 4 else x for name, x in tensors.items()})  # so that pixels differ
    return MaskHead(Path("head"), settings, classes, channels, strides, SIZE, None, None, replicates)


def maps_of(kind: str, patches: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    if kind == "unet":
        return {"pixels": rng.integers(0, 256, (patches, 3, SIZE, SIZE), np.uint8)}
    shapes = {name: (patches, width, SIZE // stride, SIZE // stride) for name, (width, stride) in MAPS.items()}
    return {name: rng.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}


@torch.inference_mode()
def by_hand(head: MaskHead, maps: dict[str, NDArray[Any]], row: int) -> NDArray[np.float32]:
    """The mean of the networks' probabilities for one patch alone."""
    scale = 255 if "pixels" in maps else 1
    x = {name: torch.from_numpy(values[row : row + 1].astype(np.float32) / scale) for name, values in maps.items()}
    return torch.stack([module.eval()(x).softmax(1)[0] for module in head.modules]).mean(0).numpy()


@pytest.mark.parametrize("kind", ["linear", "decoder", "unet"])
@pytest.mark.parametrize("patches", [1, 4, 6])
def test_every_patch_gets_the_mean_of_the_networks_probabilities(kind: str, patches: int) -> None:
    head, maps = head_of(kind), maps_of(kind, patches)
    found = predict_patches(head, (maps, np.ones(patches, bool)), CPU)
    assert found.dtype == np.float16 and found.shape == (patches, len(CLASSES), SIZE, SIZE)
    for row in range(patches):
        np.testing.assert_allclose(found[row], by_hand(head, maps, row), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.sum(1, dtype=float), 1, atol=2e-3)
    assert np.ptp(found[:, 0].astype(float)) > 0.01


@pytest.mark.parametrize("kind", ["linear", "decoder", "db", "unet"])
def test_threads_move_no_bit(kind: str) -> None:
    head, maps, before, found = head_of(kind, ["a", "b"]), maps_of(kind, 5), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            found.append(predict_patches(head, (maps, np.ones(5, bool)), CPU))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("valid", [(1, 0, 1, 1, 0, 1, 1, 1), (0, 0, 0, 0, 0, 0, 0, 1), (0,) * 8])
def test_patches_that_are_not_valid_get_nan_and_change_no_other(valid: tuple[int, ...]) -> None:
    head, maps, valid_N = head_of("linear"), maps_of("linear", 8), np.array(valid, bool)
    found = predict_patches(head, (maps, valid_N), CPU)
    np.testing.assert_array_equal(np.isnan(found).all((1, 2, 3)), ~valid_N)
    np.testing.assert_array_equal(np.isnan(found).any((1, 2, 3)), ~valid_N)
    whole = predict_patches(head, (maps, np.ones(8, bool)), CPU)
    np.testing.assert_allclose(found[valid_N], whole[valid_N], rtol=1e-3, atol=1e-4)


def test_maps_come_from_the_store_with_what_is_valid(tmp_path: Path) -> None:
    maps, valid_N = maps_of("linear", 3), np.array([True, False, True])
    chunks.write_chunk(tmp_path / "tiny.zarr", 2, {**maps, "valid": valid_N}, {})
    found, valid = cached_maps(tmp_path / "tiny.zarr", 2, ["s8"])
    assert list(found) == ["s8"]
    np.testing.assert_array_equal(found["s8"], maps["s8"])
    np.testing.assert_array_equal(valid, valid_N)


def test_maps_that_changed_are_named(tmp_path: Path) -> None:
    chunks.write_chunk(tmp_path / "tiny.zarr", 2, {**maps_of("linear", 3), "valid": np.ones(3, bool)}, {})
    chunks.chunk_file(tmp_path / "tiny.zarr", "s8", 2, 4).write_bytes(b"other")
    with pytest.raises(UnchokeError, match="Chunk 2 of tiny is missing or changed"):
        cached_maps(tmp_path / "tiny.zarr", 2, ["s4"])


def test_pixels_are_those_of_the_patches_and_zero_where_they_cannot_be_read(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    build(tmp_path, tmp_path / "out")
    whole = {n: np.asarray(Image.open(tmp_path / f"images/{stem}.png")) for n, stem in enumerate(SIDES)}
    file = tmp_path / "images/test/b.png"
    file.write_bytes(file.read_bytes()[:2000])
    patches = patches_of(tmp_path / "out")
    unread = 0
    for chunk in range(-(-len(patches) // PER_CHUNK)):
        rows = rows_of(tmp_path / "out", chunk)
        maps, valid_N = read_pixels(rows, tmp_path, SIZE, PER_CHUNK, 10**6)
        assert maps["pixels"].shape == (PER_CHUNK, 3, SIZE, SIZE) and maps["pixels"].dtype == np.uint8
        readable = (rows["image_id"] != 1).to_numpy()
        np.testing.assert_array_equal(valid_N, np.pad(readable, (0, PER_CHUNK - len(rows))))
        assert not maps["pixels"][~valid_N].any()
        for row in np.flatnonzero(readable):
            image_id, y0, x0 = rows.loc[row, ["image_id", "y0", "x0"]]
            expected_SS3 = cut_by_hand(whole[image_id], y0, x0)
            np.testing.assert_array_equal(maps["pixels"][row], expected_SS3.transpose(2, 0, 1))
        unread += (~readable).sum()
    assert unread == 1
