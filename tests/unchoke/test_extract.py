"""Extraction on small real images, with a tiny encoder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unchoke import stores, versions
from unchoke.encoders import Encoder, load_encoder
from unchoke.extract import Extraction, extract_chunk
from unchoke.manifest import SplitSettings, build_manifest
from unchoke.sources.digits import write_digits
from unchoke.tables import ROW_COLUMNS, read_table
from unchoke.weights import fetch_weights

GOLDEN = {1: (0.02924, 0.03695)}  # mean and deviation of the avg features of the digits' first chunk, by version


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_digits(folder / "digits")
    split = SplitSettings(seed=0, val=0.2, test=0.2)
    build_manifest("digits", folder / "digits", None, split, 64, folder / "manifest.csv", folder / "rows")
    fetch_weights("test_resnet", "untrained", 0, folder / "weights.safetensors", folder / "card.json")
    return folder


def encoder_of(data: Path, image_size: int = 32, pools: tuple[str, ...] = ("avg", "max")) -> Encoder:
    weights, card = data / "weights.safetensors", data / "card.json"
    return load_encoder(weights, card, image_size, list(pools), torch.device("cpu"), "float16")


@pytest.fixture(scope="module")
def encoder(data: Path) -> Encoder:
    return encoder_of(data)


def extract(data: Path, encoder: Encoder, chunk: int = 0, micro_batch: int = 16, threads: int = 2):  # type: ignore[no-untyped-def]
    rows = read_table(data / "rows" / f"{chunk}.csv", ROW_COLUMNS)
    return rows, extract_chunk(rows, data / "digits", encoder, Extraction(64, micro_batch), threads)


def test_an_unreadable_image_is_invalid_and_zero_and_its_neighbours_are_not(data: Path, encoder: Encoder) -> None:
    for chunk in range(29):
        rows, features = extract(data, encoder, chunk)
        for place, row in enumerate(rows.itertuples()):
            readable = row.path not in ("3/cut-short.png", "7/no-image.png")
            assert features.arrays["valid"][place] == readable
            assert (row.image_id in features.invalid) != readable
            assert np.any(features.arrays["avg"][place]) == readable
    assert not features.arrays["valid"][len(rows) :].any()  # the padding of the last chunk
    assert features.arrays["avg"].shape == (64, 96)


@pytest.mark.parametrize(("micro_batch", "threads"), [(1, 1), (7, 3), (64, 8), (100, 2)])
def test_batches_and_threads_change_no_feature(data: Path, encoder: Encoder, micro_batch: int, threads: int) -> None:
    _, one = extract(data, encoder, chunk=7, micro_batch=16)
    _, other = extract(data, encoder, chunk=7, micro_batch=micro_batch, threads=threads)
    for name in one.arrays:
        np.testing.assert_allclose(
            one.arrays[name].astype(float), other.arrays[name].astype(float), rtol=2e-3, atol=1e-5
        )


def test_the_same_run_gives_the_same_bytes(data: Path, encoder: Encoder) -> None:
    _, one = extract(data, encoder)
    _, two = extract(data, encoder_of(data))
    assert {n: v.tobytes() for n, v in one.arrays.items()} == {n: v.tobytes() for n, v in two.arrays.items()}


def test_features_that_leave_float16_are_marked_not_made_up(data: Path, encoder: Encoder) -> None:
    rows = read_table(data / "rows" / "0.csv", ROW_COLUMNS)
    loud = Encoder(
        encoder.model,
        encoder.device,
        encoder.precision,
        32,
        encoder.card,
        {"avg": lambda f: f.patches_BTD.mean(1) * 1e9},
    )
    features = extract_chunk(rows, data / "digits", loud, Extraction(64, 16), 2)
    assert not features.arrays["valid"].any()
    assert not features.arrays["avg"].any()
    assert set(features.invalid.values()) == {"its features are not finite in float16"}


def test_draft_decoding_stays_near_full_decoding(data: Path, encoder: Encoder, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize(
        (1600, 1200), Image.Resampling.BICUBIC
    )
    smooth.save(tmp_path / "large.jpg", quality=95)
    rows = read_table(data / "rows" / "0.csv", ROW_COLUMNS).head(1).assign(path="large.jpg")
    full, draft = (
        extract_chunk(rows, tmp_path, encoder, Extraction(1, 1, jpeg_draft=jpeg_draft), 1)
        .arrays["avg"][0]
        .astype(float)
        for jpeg_draft in (False, True)
    )
    assert np.any(full != draft)
    assert full @ draft / np.linalg.norm(full) / np.linalg.norm(draft) > 0.999


def test_the_stage_keeps_its_output_while_its_version_stays(data: Path, encoder: Encoder) -> None:
    _, features = extract(data, encoder)
    values = features.arrays["avg"].astype(float)
    assert (values.mean(), values.std()) == pytest.approx(GOLDEN[versions.EXTRACT], rel=2e-3)


def test_a_chunk_is_what_zarr_itself_writes(tmp_path: Path) -> None:
    import zarr

    values = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float16)
    array = zarr.create_array(
        tmp_path / "a.zarr",
        shape=(80, 5),
        chunks=(8, 5),
        dtype="float16",
        compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
    )
    array[16:24] = values
    assert (tmp_path / "a.zarr/c/2/0").read_bytes() == stores.encode_chunk(values)
