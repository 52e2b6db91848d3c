"""Maps of patches are timm's own maps of patches cut and normalised by hand."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from small_patches import (
    PER_CHUNK,
    SIDES,
    SIZE,
    build,
    cut_by_hand,
    patches_of,
    rows_of,
    write_pairs,
)

from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.features.chunk import Chunk, Extraction, save_chunk
from unchoke.features.patches import extract_patches
from unchoke.store.read import open_complete
from unchoke.store.seal import seal_store

STRIDES = [4, 8]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder)
    build(folder, folder / "out")
    fetch_weights("test_resnet", "untrained", 0, folder / "weights.safetensors", folder / "card.json")
    return folder


@pytest.fixture(scope="module")
def own(data: Path) -> torch.nn.Module:
    model = timm.create_model("test_resnet", num_classes=0).eval()
    model.load_state_dict(load_file(data / "weights.safetensors"))
    return model


@pytest.fixture(scope="module")
def encoder(data: Path) -> Encoder:
    weights, card = data / "weights.safetensors", data / "card.json"
    return load_encoder(weights, card, SIZE, [], torch.device("cpu"), "float16", STRIDES)


def extract(
    data: Path, encoder: Encoder, chunk: int = 0, *, micro_batch: int = 3, threads: int = 2, max_pixels: int = 10**6
) -> Chunk:
    settings = Extraction(PER_CHUNK, micro_batch, max_pixels)
    return extract_patches(rows_of(data / "out", chunk), data, encoder, settings, threads)


def by_hand(data: Path, own: torch.nn.Module, patch_id: int) -> list[NDArray[np.float32]]:
    """timm's maps of stride 4 and 8 of one patch."""
    image_id, y0, x0 = patches_of(data / "out").loc[patch_id, ["image_id", "y0", "x0"]]
    pixels_HW3 = np.asarray(Image.open(data / f"images/{list(SIDES)[image_id]}.png"))
    config = timm.data.resolve_model_data_config(own)
    x_SS3 = (cut_by_hand(pixels_HW3, y0, x0) / 255 - config["mean"]) / config["std"]
    x_13SS = torch.from_numpy(x_SS3.astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        found = own.forward_intermediates(x_13SS, indices=[1, 2], norm=True, intermediates_only=True)
    return [values[0].numpy() for values in found]


def test_maps_are_timms_of_patches_cut_and_normalised_by_hand(
    data: Path, encoder: Encoder, own: torch.nn.Module
) -> None:
    patches = len(patches_of(data / "out"))
    for chunk in range(-(-patches // PER_CHUNK)):
        found = extract(data, encoder, chunk)
        assert found.invalid == {}
        for place, patch_id in enumerate(range(chunk * PER_CHUNK, min((chunk + 1) * PER_CHUNK, patches))):
            for name, expected in zip(("s4", "s8"), by_hand(data, own, patch_id), strict=True):
                assert found.arrays[name].dtype == np.float16
                np.testing.assert_allclose(found.arrays[name][place], expected, rtol=2e-3, atol=2e-4)
                assert np.ptp(expected) > 0.1


def test_the_last_chunk_is_padded_with_zeros_that_are_not_valid(data: Path, encoder: Encoder) -> None:
    chunk, patches = divmod(len(patches_of(data / "out")), PER_CHUNK)
    assert patches
    arrays = extract(data, encoder, chunk).arrays
    assert arrays["valid"].tolist() == [True] * patches + [False] * (PER_CHUNK - patches)
    assert arrays["s4"].shape == (PER_CHUNK, 32, SIZE // 4, SIZE // 4) and arrays["s8"].shape[1:] == (48, 8, 8)
    assert not arrays["s4"][patches:].any() and arrays["s4"][:patches].any()


def test_the_digest_of_an_image_stands_in_the_chunk_of_its_first_patch(data: Path, encoder: Encoder) -> None:
    first = patches_of(data / "out").groupby("image_id")["patch_id"].min()
    for chunk in range(-(-len(patches_of(data / "out")) // PER_CHUNK)):
        digests = {image_id: digest for image_id, (*_, digest) in extract(data, encoder, chunk).digests.items()}
        assert digests == {
            image_id: hashlib.sha256((data / f"images/{list(SIDES)[image_id]}.png").read_bytes()).hexdigest()
            for image_id in first.index[first // PER_CHUNK == chunk]
        }


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_no_bit(data: Path, encoder: Encoder, threads: int) -> None:
    one, other = (extract(data, encoder, 1, threads=count).arrays for count in (3, threads))
    assert {name: values.tobytes() for name, values in one.items()} == {n: v.tobytes() for n, v in other.items()}


@pytest.mark.parametrize("micro_batch", [1, 2, 4, 7])
def test_micro_batches_change_no_bit(data: Path, encoder: Encoder, micro_batch: int) -> None:
    one, other = (extract(data, encoder, 1, micro_batch=size).arrays for size in (3, micro_batch))
    assert {name: values.tobytes() for name, values in one.items()} == {n: v.tobytes() for n, v in other.items()}


def test_an_image_that_cannot_be_read_is_invalid_and_zero_and_its_neighbours_are_not(
    data: Path, encoder: Encoder, tmp_path: Path
) -> None:
    write_pairs(tmp_path)
    build(tmp_path, tmp_path / "out")
    ids = patches_of(tmp_path / "out")["image_id"].to_numpy()
    (chunk,) = {int(place) // PER_CHUNK for place in np.flatnonzero(ids == 1)}
    file = tmp_path / "images/test/b.png"
    file.write_bytes(file.read_bytes()[:2000])
    found, whole = extract(tmp_path, encoder, chunk), extract(data, encoder, chunk)
    readable = ids[chunk * PER_CHUNK : (chunk + 1) * PER_CHUNK] != 1
    assert 0 < readable.sum() < PER_CHUNK
    np.testing.assert_array_equal(found.arrays["valid"], readable)
    assert list(found.invalid) == [1] and found.invalid[1].startswith("broken image: ")
    for name in ("s4", "s8"):
        assert not found.arrays[name][~readable].any()
        np.testing.assert_array_equal(found.arrays[name][readable], whole.arrays[name][readable])


def test_an_image_above_the_limit_of_pixels_is_refused(data: Path, encoder: Encoder) -> None:
    found = extract(data, encoder, max_pixels=100 * 140 - 1)
    assert found.invalid == {0: "140 × 100 px, above decoding.max_pixels 13999"}
    assert not found.arrays["valid"].any()


def test_sealed_maps_open_as_one_array_a_stride(data: Path, encoder: Encoder, tmp_path: Path) -> None:
    out, expected = data / "out", []
    for chunk in range(-(-len(patches_of(out)) // PER_CHUNK)):
        maps = extract(data, encoder, chunk)
        expected.append(maps.arrays["s8"])
        save_chunk(tmp_path / "tiny.zarr", chunk, out / f"rows/{chunk}.csv", maps, encoder, Extraction(PER_CHUNK, 3))
    seal_store(tmp_path / "tiny.zarr", out / "patches.csv", out / "rows")
    store = open_complete(tmp_path / "tiny.zarr")
    patches = len(patches_of(out))
    np.testing.assert_array_equal(store.features("s8"), np.concatenate(expected)[:patches])
    assert store.seal["widths"] == {"s4": 32, "s8": 48}
    assert store.valid().all() and len(store.valid()) == patches
