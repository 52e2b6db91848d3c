"""The seal: what is whole can be opened, anything else is named with the command that mends it."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from unchoke import stores
from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes
from unchoke.manifest import SplitSettings, build_manifest
from unchoke.seal import seal_features

N_IMAGES, CHUNK_SIZE, WIDTH = 21, 8, 3


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A manifest of 21 files in two classes, and a store with all its three chunks, not sealed."""
    for number in range(N_IMAGES):
        file = tmp_path / "images" / str(number % 2) / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    split = SplitSettings(seed=0, val=0.2, test=0.2)
    build_manifest("folder", tmp_path / "images", None, split, CHUNK_SIZE, tmp_path / "manifest.csv", tmp_path / "rows")
    for chunk in range(3):
        write(tmp_path, chunk)
    return tmp_path


def values(chunk: int) -> np.ndarray:
    return np.full((CHUNK_SIZE, WIDTH), chunk + 0.5, np.float16)


def write(data: Path, chunk: int, **settings: object) -> None:
    arrays = {"avg": values(chunk), stores.VALID: np.arange(chunk * 8, chunk * 8 + 8) < N_IMAGES}
    rows = sha256_bytes((data / "rows" / f"{chunk}.csv").read_bytes())
    record = {"rows_sha256": rows, "settings": {"chunk_size": CHUNK_SIZE, "model": "m", **settings}, "invalid": []}
    stores.write_chunk(data / "tiny.zarr", chunk, arrays, record)


def seal(data: Path) -> stores.FeatureStore:
    seal_features(data / "tiny.zarr", data / "manifest.csv", data / "rows")
    return stores.open_complete(data / "tiny.zarr")


def test_a_sealed_store_reads_back_what_was_written(data: Path) -> None:
    expected = np.concatenate([values(chunk) for chunk in range(3)])[:N_IMAGES]
    store = seal(data)
    np.testing.assert_array_equal(store.features("avg"), expected)
    np.testing.assert_array_equal(zarr.open_group(data / "tiny.zarr", mode="r")["avg"][:], expected)
    assert store.valid().tolist() == [True] * N_IMAGES


def test_before_the_seal_nobody_can_open_the_store(data: Path) -> None:
    with pytest.raises(UnchokeError, match="not sealed"):
        stores.open_complete(data / "tiny.zarr")
    with pytest.raises(FileNotFoundError):
        zarr.open_group(data / "tiny.zarr", mode="r")


@pytest.mark.parametrize("chunk", [0, 1, 2])
@pytest.mark.parametrize("array", ["avg", "valid"])
@pytest.mark.parametrize("harm", ["delete", "change", "truncate"])
def test_harm_to_any_chunk_is_found_and_named(data: Path, array: str, chunk: int, harm: str) -> None:
    seal(data)
    file = stores.chunk_file(data / "tiny.zarr", array, chunk)
    whole = file.read_bytes()
    file.unlink() if harm == "delete" else file.write_bytes(whole[:-1] + (b"?" if harm == "change" else b""))
    with pytest.raises(UnchokeError, match=rf"(?s)Chunk {chunk} of tiny.*--forcerun .*avg/c/{chunk}/0$"):
        stores.open_complete(data / "tiny.zarr")
    with pytest.raises(UnchokeError, match=f"Chunk {chunk} of tiny"):
        seal(data)


def test_a_chunk_of_other_settings_is_refused(data: Path) -> None:
    write(data, 1, model="another")
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 1 .*model another.*model m"):
        seal(data)


def test_a_chunk_of_other_rows_is_refused(data: Path) -> None:
    rows = data / "rows" / "2.csv"
    rows.write_bytes(rows.read_bytes().replace(b".png", b".gif"))
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 2 .*other rows"):
        seal(data)


def test_what_killed_jobs_and_older_chunkings_left_is_removed(data: Path) -> None:
    store = data / "tiny.zarr"
    clean = seal(data) and set(store.rglob("*"))
    for stranger in ("avg/c/3/0", "valid/c/3", "avg/c/1/.0.abc.tmp", "max/c/0/0", ".zarr.json.abc.tmp"):
        (store / stranger).parent.mkdir(parents=True, exist_ok=True)
        (store / stranger).write_bytes(b"?")
    seal(data)
    assert set(store.rglob("*")) == clean


def test_sealing_twice_gives_the_same_bytes(data: Path) -> None:
    seal(data)
    before = {file: file.read_bytes() for file in data.rglob("*") if file.is_file()}
    seal(data)
    assert {file: file.read_bytes() for file in data.rglob("*") if file.is_file()} == before
