"""Shards: many chunks in one file, made one after the other, which read back as if each had a file of its own."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from unchoke.config.load import load_config
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Chunk
from unchoke.features.shard import extract_shard
from unchoke.features.timings import summarise_rates
from unchoke.machine.receipts import read_json
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.store import chunks
from unchoke.store.partial_shards import Draft, draft_file, drafts_folder, read_draft, write_draft
from unchoke.store.read import FeatureStore, open_complete
from unchoke.store.seal import seal_store
from unchoke.store.tables import rows_files
from unchoke.store.zarr_bytes import decode_chunk, encode_chunk

N_IMAGES, CHUNK_SIZE, WIDTH = 21, 2, 3
UNREADABLE = (4, 17)
MADE_WITH = {"chunk_size": CHUNK_SIZE, "model": "m"}


def add_images(folder: Path, count: int) -> None:
    """A manifest of so many files in two classes."""
    for number in range(count):
        file = folder / "images" / str(number % 2) / f"{number:02d}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
    split = SplitSettings(seed=0, val=0.2, test=0.2)
    build_manifest("folder", folder / "images", None, split, CHUNK_SIZE, folder / "manifest.csv", folder / "rows")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    add_images(tmp_path, N_IMAGES)
    return tmp_path


class Encoder:
    """Makes features of image ids alone, counts its calls, and fails at the one that it is told to fail at."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.calls: list[int] = []
        self.fails_at = fails_at

    def __call__(self, rows: pd.DataFrame) -> Chunk:
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append(int(rows["image_id"][0]))
        ids = rows["image_id"].to_numpy()
        features, valid = np.zeros((CHUNK_SIZE, WIDTH), np.float16), np.zeros(CHUNK_SIZE, bool)
        valid[: len(ids)] = ~np.isin(ids, UNREADABLE)
        features[: len(ids)] = ids[:, None] / 8 + np.arange(WIDTH)
        features[~valid] = 0
        seconds = {"read": 0.25, "decode": 2.0, "encode": 0.5, "total": 3.0}
        invalid = {int(image_id): "broken" for image_id in ids if image_id in UNREADABLE}
        peak = {"host": 100.0 + len(self.calls)}
        digests = {int(image_id): (1, 2, f"of {image_id}") for image_id in ids}
        return Chunk({"avg": features, chunks.VALID: valid}, invalid, seconds, 2, peak, digests=digests)


def make_shard(data: Path, shard: int, count: int, encoder: Encoder | None = None, **made_with: object) -> Encoder:
    encoder = encoder or Encoder()
    files = rows_files(data / "rows", shard, count)
    extract_shard(data / "tiny.zarr", shard, files, count, encoder, {**MADE_WITH, **made_with})
    return encoder


def make_store(data: Path, count: int) -> FeatureStore:
    """The sealed store of all images, so many chunks a shard."""
    for shard in range(-(-N_IMAGES // (CHUNK_SIZE * count))):
        make_shard(data, shard, count)
    return seal(data)


def seal(data: Path) -> FeatureStore:
    seal_store(data / "tiny.zarr", data / "manifest.csv", data / "rows")
    return open_complete(data / "tiny.zarr")


def bytes_of(store: Path) -> dict[str, bytes]:
    return {str(file.relative_to(store)): file.read_bytes() for file in store.rglob("*") if file.is_file()}


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(1, 5), st.sampled_from(["bool", "float16"]), st.integers(0, 2**32 - 1))
def test_a_shard_is_what_zarr_itself_writes(inner: int, rows: int, name: str, seed: int) -> None:
    rng, dtype = np.random.default_rng(seed), np.dtype(name)
    values = rng.integers(0, 2, (inner * rows, *([] if name == "bool" else [WIDTH]))).astype(dtype)
    values[: rows * rng.integers(0, inner)] = 0  # inner chunks of zeros are written too
    memory: dict[str, zarr.abc.buffer.Buffer] = {}
    array = zarr.create_array(
        zarr.storage.MemoryStore(memory),
        shape=(3 * len(values), *values.shape[1:]),
        chunks=(rows, *values.shape[1:]),
        shards=values.shape,
        dtype=dtype,
        compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
        config={"write_empty_chunks": True},
    )
    array[len(values) : 2 * len(values)] = values
    data = encode_chunk(values, inner)
    assert data == memory["c/1" + "/0" * (values.ndim - 1)].to_bytes() == encode_chunk(values, inner)
    np.testing.assert_array_equal(decode_chunk(data, values.shape, dtype, inner), values)
    index = np.frombuffer(data[-16 * inner - 4 : -4], "<u8").reshape(inner, 2)  # behind it the checksum, CRC-32C
    assert (index != 2**64 - 1).all()  # which is how Zarr says that an inner chunk is not there
    place, length = map(int, index[inner - 1])
    assert data[place : place + length] == encode_chunk(values[-rows:])


@pytest.mark.parametrize("count", [3, 11, 100])
def test_every_number_of_chunks_a_shard_reads_back_the_same(data: Path, count: int) -> None:
    one = make_store(data, 1)
    expected, valid, sealed = one.features("avg"), one.valid(), one.seal
    many = make_store(data, count)
    np.testing.assert_array_equal(many.features("avg"), expected)
    np.testing.assert_array_equal(many.valid(), valid)
    assert valid.tolist() == [image_id not in UNREADABLE for image_id in range(N_IMAGES)]
    assert expected[20].tolist() == [2.5, 3.5, 4.5]
    array = zarr.open_group(data / "tiny.zarr", mode="r")["avg"]
    assert (array.shape, array.chunks, array.shards) == ((21, WIDTH), (CHUNK_SIZE, WIDTH), (CHUNK_SIZE * count, WIDTH))
    files = -(-N_IMAGES // (CHUNK_SIZE * count))
    assert sorted(bytes_of(data / "tiny.zarr/avg")) == sorted(["zarr.json", *(f"c/{file}/0" for file in range(files))])
    assert [len(digests) for digests in many.seal["sha256"].values()] == [files, files]
    assert many.seal["invalid"] == sealed["invalid"] == [{"image_id": i, "reason": "broken"} for i in UNREADABLE]
    assert (many.seal["chunk_size"], many.seal["chunks_per_shard"]) == (CHUNK_SIZE, count)
    assert not drafts_folder(data / "tiny.zarr").exists()


def test_chunks_of_their_own_say_nothing_of_shards(data: Path) -> None:
    sealed, record = make_store(data, 1).seal, chunks.read_record(data / "tiny.zarr", 0)
    assert sealed["settings"] == record["settings"] == MADE_WITH
    assert not {"chunks_per_shard", "rows_files"} & {*sealed, *record}
    assert not drafts_folder(data / "tiny.zarr").exists()


@pytest.mark.parametrize("fails_at", range(4))
def test_a_shard_that_was_killed_goes_on_where_it_stopped(
    data: Path, fails_at: int, capsys: pytest.CaptureFixture[str]
) -> None:
    make_shard(data, 1, 4)
    undisturbed = bytes_of(data / "tiny.zarr")
    for file in chunks.chunk_file(data / "tiny.zarr", "avg", 1), chunks.chunk_file(data / "tiny.zarr", "valid", 1):
        file.unlink()
    with pytest.raises(KeyboardInterrupt):
        make_shard(data, 1, 4, Encoder(fails_at))
    assert (
        sorted(file.stem for file in drafts_folder(data / "tiny.zarr").rglob("*.*")) == ["4", "5", "6", "7"][:fails_at]
    )
    assert make_shard(data, 1, 4).calls == [8, 10, 12, 14][fails_at:]
    assert bytes_of(data / "tiny.zarr") == undisturbed
    assert not draft_file(data / "tiny.zarr", 1, 4).parent.exists()
    assert (f"took up {fails_at} of 4 chunks" in capsys.readouterr().out) == (fails_at > 0)


def test_drafts_of_other_rows_or_settings_are_made_again(data: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_shard(data, 0, 4, Encoder(3))
    assert make_shard(data, 0, 4, Encoder(), model="another").calls == [0, 2, 4, 6]
    with pytest.raises(KeyboardInterrupt):
        make_shard(data, 0, 4, Encoder(3))
    rows = data / "rows/1.csv"
    rows.write_bytes(rows.read_bytes().replace(b".png", b".gif"))
    assert make_shard(data, 0, 4).calls == [2, 6]
    with pytest.raises(KeyboardInterrupt):
        make_shard(data, 0, 4, Encoder(3))
    assert make_shard(data, 0, 3).calls == [0, 2, 4]  # a draft says how many chunks its shard has


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_draft_with_any_byte_changed_or_cut_off_counts_as_none(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    store = tmp_path_factory.mktemp("drafts") / "tiny.zarr"
    draft = Draft({"avg": np.arange(6, dtype=np.float16), "valid": np.ones(6, bool)}, {"rows_sha256": "a", "more": [1]})
    write_draft(store, 0, 7, draft)
    file = draft_file(store, 0, 7)
    whole = file.read_bytes()
    found = read_draft(store, 0, 7, {"rows_sha256": "a"})
    assert found is not None and found.record == draft.record
    assert {n: (v.dtype, v.tolist()) for n, v in found.arrays.items()} == {
        n: (v.dtype, v.tolist()) for n, v in draft.arrays.items()
    }
    assert read_draft(store, 0, 7, {"rows_sha256": "b"}) is None
    assert read_draft(store, 0, 8, {"rows_sha256": "a"}) is None
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    file.write_bytes(whole[:place] if cut else whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert read_draft(store, 0, 7, {"rows_sha256": "a"}) is None


def test_the_record_of_a_shard_sums_up_those_of_its_chunks(data: Path) -> None:
    make_store(data, 4)
    record = chunks.read_record(data / "tiny.zarr", 2)  # three chunks, of the images 16 to 20
    assert (record["images"], record["threads"]) == (4, 2)
    assert record["invalid"] == [{"image_id": 17, "reason": "broken"}]
    assert record["digests"] == {str(image_id): [1, 2, f"of {image_id}"] for image_id in range(16, 21)}
    assert record["peak_mb"] == {"host": 103.0}
    assert {stage: record["seconds"][stage] for stage in ("read", "decode", "encode", "total")} == {
        "read": 0.75,
        "decode": 6.0,
        "encode": 1.5,
        "total": 9.0,
    }
    rows = {row[1]: row for row in summarise_rates([data / "tiny.zarr"], data / "rates.csv")}
    assert rows["decode"][2:4] == (
        11.0,
        round(19 / 11, 1),
    )  # eleven chunks of 2 s by two threads; 19 images


def test_new_images_cost_the_last_shard_and_those_behind_it(data: Path) -> None:
    make_store(data, 4)
    before = bytes_of(data / "tiny.zarr")
    add_images(data, 26)
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 3 .*no record"):
        seal(data)
    make_shard(data, 3, 4)
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 2 .*other rows.*--forcerun .*avg/c/2/0$"):
        seal(data)
    make_shard(data, 2, 4)
    assert seal(data).features("avg")[:, 0].tolist() == [0 if i in UNREADABLE else i / 8 for i in range(26)]
    after = bytes_of(data / "tiny.zarr")
    kept = ("avg/c/0/0", "avg/c/1/0", "valid/c/0", "valid/c/1")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


@pytest.mark.parametrize("array", ["avg", "valid"])
@pytest.mark.parametrize("harm", ["delete", "change"])
def test_harm_to_a_shard_is_found_and_named(data: Path, array: str, harm: str) -> None:
    make_store(data, 4)
    file = chunks.chunk_file(data / "tiny.zarr", array, 1)
    whole = file.read_bytes()
    file.unlink() if harm == "delete" else file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 1 of tiny.*--forcerun .*avg/c/1/0$"):
        open_complete(data / "tiny.zarr")


def test_a_shard_that_is_not_sealed_is_read_as_it_was_written(data: Path) -> None:
    make_shard(data, 1, 4)
    found = chunks.read_chunk(data / "tiny.zarr", 1)
    assert found["avg"][:, 0].tolist() == [image_id / 8 for image_id in range(8, 16)]
    assert found["valid"].all()


def test_another_number_of_chunks_a_shard_leaves_nothing_of_the_old_one(data: Path) -> None:
    make_store(data, 4)
    expected = bytes_of(data / "tiny.zarr")
    make_store(data, 1)
    write_draft(data / "tiny.zarr", 9, 9, Draft({}, {}))
    make_store(data, 4)
    assert bytes_of(data / "tiny.zarr") == expected
    assert sorted(file.name for file in (data / "tiny.chunks").iterdir()) == ["0.json", "1.json", "2.json"]
    assert not drafts_folder(data / "tiny.zarr").exists()
    assert read_json(chunks.seal_file(data / "tiny.zarr"))["settings"] == {**MADE_WITH, "rows_files": 4}


def test_a_mixture_of_shards_is_refused(data: Path) -> None:
    make_store(data, 4)
    make_shard(data, 1, 3)
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 1 .*rows_files 3.*rows_files 4, as chunk 0 has it"):
        seal(data)


def test_the_config_says_how_many_and_masks_have_no_shards() -> None:
    assert load_config({})["chunks_per_shard"] == 1
    assert load_config({"chunks_per_shard": 1024})["chunks_per_shard"] == 1024
    for wrong in (0, 1025, "many", None):
        with pytest.raises(UnchokeError, match="chunks_per_shard"):
            load_config({"chunks_per_shard": wrong})
    masks = {"dataset": {"name": "m", "kind": "masks", "path": "m"}, "encoders": {"e": {"model": "m", "strides": [4]}}}
    assert load_config(masks)["chunks_per_shard"] == 1
    with pytest.raises(UnchokeError, match=r"chunks_per_shard: dataset\.kind masks has masks"):
        load_config({**masks, "chunks_per_shard": 2})
