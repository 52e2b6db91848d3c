"""Extraction on small real images, with a tiny encoder."""

import hashlib
import importlib
import json
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from small_features import make_manifest

from unchoke import versions
from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.lanes import Lanes
from unchoke.encoders.weights import fetch_weights
from unchoke.features.chunk import Extraction, chunk_settings, rounding_of
from unchoke.features.images import extract_chunk
from unchoke.features.shard import extract_shard
from unchoke.images.views import view_of
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.sources.kinds.digits import write_digits
from unchoke.store import chunks
from unchoke.store.origin import rounding_warnings, write_origin
from unchoke.store.tables import ROW_COLUMNS, read_table

# Mean and deviation of the avg features of the digits' first chunk, by version and view. Version 3 reads some kinds of
# TIFF, sparse members of tar and rows without stored bytes as they are; PNG files have the features of version 2.
GOLDEN = {
    3: {
        "identity": (0.02924, 0.03695),
        "transpose": (0.03138, 0.03950),
        "crop_0": (0.02542, 0.03267),
        "colour_1": (0.02828, 0.03645),
    }
}


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


def extract(  # type: ignore[no-untyped-def]
    data: Path, encoder: Encoder, chunk: int = 0, micro_batch: int = 16, threads: int = 2, view: str = "identity"
):
    rows = read_table(data / "rows" / f"{chunk}.csv", ROW_COLUMNS)
    return rows, extract_chunk(rows, data / "digits", encoder, Extraction(64, micro_batch, view=view), threads)


def test_batches_side_by_side_have_the_bytes_of_one_after_the_other(data: Path, encoder: Encoder) -> None:
    rows, alone = extract(data, encoder, 28)  # the last chunk, of which a batch is padding alone
    settings = Extraction(64, 16)
    beside = extract_chunk(rows, data / "digits", encoder, settings, 2, lanes=Lanes(3, 2))
    assert {name: values.tobytes() for name, values in beside.arrays.items()} == {
        name: values.tobytes() for name, values in alone.arrays.items()
    }
    assert beside.digests == alone.digests and beside.invalid == alone.invalid


def test_an_unreadable_image_is_invalid_and_zero_and_its_neighbours_are_not(data: Path, encoder: Encoder) -> None:
    for chunk in range(29):
        rows, features = extract(data, encoder, chunk)
        for place, row in enumerate(rows.itertuples()):
            readable = row.path not in ("3/cut-short.png", "7/no-image.png")
            assert features.arrays["valid"][place] == readable
            assert (row.image_id in features.invalid) != readable
            digest = hashlib.sha256((data / "digits" / row.path).read_bytes()).hexdigest()
            assert features.digests[row.image_id] == (row.size_bytes, row.mtime_ns, digest)
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


@pytest.mark.parametrize("per_shard", [1, 2])
def test_another_decoder_changes_nothing_but_who_made_a_chunk(
    data: Path, encoder: Encoder, tmp_path: Path, per_shard: int
) -> None:
    rng = np.random.default_rng(0)
    rows = read_table(data / "rows" / "0.csv", ROW_COLUMNS).head(4)
    rows["path"] = names = [f"{number}.jpg" for number in range(4)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / names[1]).write_bytes((tmp_path / names[1]).read_bytes()[:-900])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    records, arrays = [], []
    for decoder in ("pillow", "simplejpeg"):
        store, settings = tmp_path / f"{decoder}.zarr", Extraction(4, 2, jpeg_draft=True, decoder=decoder)
        encode = partial(extract_chunk, root=tmp_path, encoder=encoder, settings=settings, threads=2)
        facts = chunk_settings(encoder, settings)
        extract_shard(store, 0, [tmp_path / "rows.csv"] * per_shard, per_shard, encode, facts)
        records.append(chunks.read_record(store, 0))
        arrays.append(chunks.chunk_file(store, "avg", 0).read_bytes())
    by_pillow, by_simplejpeg = (record.get("makers", [{"by": record["made_by"]}])[0]["by"] for record in records)
    assert by_simplejpeg == {**by_pillow, "simplejpeg": version("simplejpeg")}
    assert arrays[0] == arrays[1]
    for fact in ("settings", "sha256", "digests", "invalid"):
        assert records[0][fact] == records[1][fact]
    assert len(records[0]["invalid"]) == per_shard


TRANSFORMS = {
    "hflip": lambda x: x[:, ::-1],
    "vflip": lambda x: x[::-1],
    "rot90": np.rot90,
    "rot180": lambda x: np.rot90(x, 2),
    "rot270": lambda x: np.rot90(x, 3),
    "transpose": lambda x: np.swapaxes(x, 0, 1),
    "transverse": lambda x: np.swapaxes(np.rot90(x, 2), 0, 1),
}


def write_pictures(folder: Path, seen: list[Image.Image]) -> pd.DataFrame:
    """Rows of pictures whose ids are not their places."""
    for number, image in enumerate(seen):
        image.save(folder / f"{number}.png")
    ids = [7, 3, 250, *range(251, 260)][: len(seen)]
    return pd.DataFrame(
        {"image_id": ids, "path": [f"{number}.png" for number in range(len(seen))], "size_bytes": 1, "mtime_ns": 1}
    )


@pytest.mark.parametrize("view", [*TRANSFORMS, "crop_0", "crop_5", "colour_0", "colour_2"])
def test_a_view_of_a_picture_is_that_picture_transformed_first(encoder: Encoder, tmp_path: Path, view: str) -> None:
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (40, width, 3), np.uint8)) for width in (40, 55, 70)]
    (tmp_path / "seen").mkdir()
    rows = write_pictures(tmp_path, pictures)
    if view in TRANSFORMS:
        seen = [Image.fromarray(np.ascontiguousarray(TRANSFORMS[view](np.asarray(image)))) for image in pictures]
    else:
        seen = [view_of(view, image, image_id) for image, image_id in zip(pictures, rows["image_id"], strict=True)]
    write_pictures(tmp_path / "seen", seen)
    found = extract_chunk(rows, tmp_path, encoder, Extraction(3, 3, view=view), 2).arrays
    expected = extract_chunk(rows, tmp_path / "seen", encoder, Extraction(3, 3), 2).arrays
    plain = extract_chunk(rows, tmp_path, encoder, Extraction(3, 3), 2).arrays
    for pool in encoder.pools:
        np.testing.assert_array_equal(found[pool], expected[pool])
        assert np.any(found[pool] != plain[pool])


def test_an_array_gives_the_features_of_its_pictures_in_files(encoder: Encoder, tmp_path: Path) -> None:
    rgb_NHW3 = np.random.default_rng(0).integers(0, 256, (10, 40, 50, 3), np.uint8)
    rows = write_pictures(tmp_path, list(map(Image.fromarray, rgb_NHW3)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=rgb_NHW3, chunks=(4, 40, 50, 3), compression="gzip")
    in_array = rows.assign(path=[f"a.h5:x[{row}]" for row in range(10)])
    for settings in (Extraction(10, 4), Extraction(10, 4, view="crop_0"), Extraction(10, 4, max_pixels=40 * 50 - 1)):
        expected = extract_chunk(rows, tmp_path, encoder, settings, 2)
        found = extract_chunk(in_array, tmp_path, encoder, settings, 3, "hdf5")
        assert found.invalid == expected.invalid
        assert {n: v.tobytes() for n, v in found.arrays.items()} == {n: v.tobytes() for n, v in expected.arrays.items()}
    assert set(expected.invalid.values()) == {"50 × 40 px, above decoding.max_pixels 1999"}


def test_the_view_is_part_of_what_a_chunk_is_made_with(encoder: Encoder) -> None:
    one, two = (chunk_settings(encoder, Extraction(64, 16, view=view)) for view in ("identity", "hflip"))
    assert {**one, "view": "hflip"} == two
    assert one["version"] == versions.EXTRACT


@pytest.mark.parametrize("view", GOLDEN[versions.EXTRACT])
def test_the_stage_keeps_its_output_while_its_version_stays(data: Path, encoder: Encoder, view: str) -> None:
    _, features = extract(data, encoder, view=view)
    values = features.arrays["avg"].astype(float)
    assert (values.mean(), values.std()) == pytest.approx(GOLDEN[versions.EXTRACT][view], rel=2e-3)


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
    assert (tmp_path / "a.zarr/c/2/0").read_bytes() == chunks.encode_chunk(values)


def chunked(folder: Path, chunks_ND: list[np.ndarray]) -> dict[str, Any]:
    """The origin of a sealed store of float32 features that were rounded to float16; row 2 could not be read."""
    store, rows = folder / "x.zarr", len(chunks_ND[0])
    valid_N = np.arange(rows) != 2
    for chunk, x_ND in enumerate(chunks_ND):
        stored = x_ND.astype(np.float16)
        rounding = {"avg": rounding_of([x_ND[:4], x_ND[4:]], stored, valid_N)}
        record = {"settings": {}, "rounding_errors": json.loads(json.dumps(rounding))}
        chunks.write_chunk(store, chunk, {"avg": stored, "valid": valid_N}, record)
    shapes = {"avg": [rows, x_ND.shape[1]], "valid": [rows]}
    return write_origin(store, chunks.seal(store, rows * len(chunks_ND), shapes, {"settings": {}}, {}))


@pytest.mark.parametrize(
    ("offset", "factor", "coarse"), [(0, 1, 0), (0, 1e-3, 0), (10_000, 1, 6), (100, 1, 6), (0, 1e-9, 6), (0, 0, 0)]
)
def test_what_float16_costs_is_told_at_the_seal(tmp_path: Path, offset: float, factor: float, coarse: int) -> None:
    """Between 8,192 and 16,384 float16 has steps of 8; below 6e-5 steps of 6e-8; near 100 of 1/16."""
    x_ND = (np.random.default_rng(0).normal(size=(40, 6)) * factor + offset).astype(np.float32)
    x_ND[[2, 22]] = 9e4  # of images that could not be read
    with np.errstate(over="ignore"):
        origin = chunked(tmp_path, [x_ND[:20], x_ND[20:]])
    assert origin["rounding"] == {"avg": {"features": 6, "coarsened": coarse}}
    warnings = rounding_warnings(origin)
    assert len(warnings) == bool(coarse) and all("store: float32" in warning for warning in warnings)


def test_chunks_of_one_class_each_are_judged_by_the_deviation_over_all(tmp_path: Path) -> None:
    """Two classes apart by 100, each with deviation 0.1: steps of 1/16 are coarse within a chunk, not over both."""
    x_ND = np.random.default_rng(0).normal(0, 0.1, size=(40, 6)).astype(np.float32) + 100
    origin = chunked(tmp_path, [x_ND[:20], x_ND[20:] - 200])
    assert len(chunks.read_record(tmp_path / "x.zarr", 0)["rounding_errors"]["avg"]) == 6
    assert origin["rounding"]["avg"]["coarsened"] == 0 and rounding_warnings(origin) == []


def test_coarse_features_are_warned_of_from_a_hundredth_on() -> None:
    for count, warned in ((9, 0), (10, 1)):
        origin = {"settings": {}, "rounding": {"avg": {"features": 1000, "coarsened": count}}}
        assert len(rounding_warnings(origin)) == warned


@pytest.mark.parametrize(("offset", "warned"), [(0, False), (10_000, True)])
def test_what_float16_costs_is_told_below_the_map_of_the_features(
    tmp_path: Path, offset: float, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "scripts")
    script = importlib.import_module("draw_embedding")
    drawn: list[Figure] = []
    monkeypatch.setattr(script, "png_bytes", lambda figure: drawn.append(figure) or b"")
    x_ND = (np.random.default_rng(0).normal(size=(40, 6)) + offset).astype(np.float32)
    chunked(tmp_path, [x_ND[:20], x_ND[20:]])
    manifest = make_manifest(["a"] * 40, ["test"] * 40).astype({"image_id": int})
    monkeypatch.setattr(script, "selected", lambda *_: manifest)
    files = ["--store", tmp_path / "x.zarr", "--manifest", tmp_path / "m.csv", "--picture", tmp_path / "map.png"]
    script.main([*map(str, files), "--pool", "avg"])
    said = " ".join(text.get_text() for text in drawn[0].findobj(Text)).replace("\n", " ")
    assert ("Warning: float16 costs 6 of the 6 features of avg" in said) == warned
