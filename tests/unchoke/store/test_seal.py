"""The seal: what is whole can be opened, anything else is named with the command that mends it."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from unchoke.errors import UnchokeError
from unchoke.files import json_bytes
from unchoke.hashing import sha256_bytes
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.signed import signed_bytes
from unchoke.store import chunks
from unchoke.store.read import FeatureStore, open_complete, read_seal
from unchoke.store.seal import seal_store

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
    arrays = {"avg": values(chunk), chunks.VALID: np.arange(chunk * 8, chunk * 8 + 8) < N_IMAGES}
    rows = sha256_bytes((data / "rows" / f"{chunk}.csv").read_bytes())
    record = {"rows_sha256": rows, "settings": {"chunk_size": CHUNK_SIZE, "model": "m", **settings}, "invalid": []}
    chunks.write_chunk(data / "tiny.zarr", chunk, arrays, record)


def seal(data: Path) -> FeatureStore:
    seal_store(data / "tiny.zarr", data / "manifest.csv", data / "rows")
    return open_complete(data / "tiny.zarr")


def test_a_sealed_store_reads_back_what_was_written(data: Path) -> None:
    expected = np.concatenate([values(chunk) for chunk in range(3)])[:N_IMAGES]
    store = seal(data)
    np.testing.assert_array_equal(store.features("avg"), expected)
    np.testing.assert_array_equal(zarr.open_group(data / "tiny.zarr", mode="r")["avg"][:], expected)
    assert store.valid().tolist() == [True] * N_IMAGES


def test_before_the_seal_nobody_can_open_the_store(data: Path) -> None:
    with pytest.raises(UnchokeError, match="not sealed"):
        open_complete(data / "tiny.zarr")
    with pytest.raises(FileNotFoundError):
        zarr.open_group(data / "tiny.zarr", mode="r")


@pytest.mark.parametrize("chunk", [0, 1, 2])
@pytest.mark.parametrize("array", ["avg", "valid"])
@pytest.mark.parametrize("harm", ["delete", "change", "truncate"])
def test_harm_to_any_chunk_is_found_and_named(data: Path, array: str, chunk: int, harm: str) -> None:
    seal(data)
    file = chunks.chunk_file(data / "tiny.zarr", array, chunk)
    whole = file.read_bytes()
    file.unlink() if harm == "delete" else file.write_bytes(whole[:-1] + (b"?" if harm == "change" else b""))
    with pytest.raises(UnchokeError, match=rf"(?s)Chunk {chunk} of tiny.*--forcerun .*avg/c/{chunk}/0$"):
        open_complete(data / "tiny.zarr")
    with pytest.raises(UnchokeError, match=f"Chunk {chunk} of tiny"):
        seal(data)


def test_a_chunk_of_other_settings_is_refused(data: Path) -> None:
    write(data, 1, model="another")
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 1 .*model another.*model m"):
        seal(data)


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_one_store_is_compiled_or_eager(data: Path, chunk: int) -> None:
    write(data, chunk, compiled_threads=2)
    with pytest.raises(UnchokeError, match=r"(?s)Chunk [12] .*compiled_threads (2|None)"):
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


@pytest.mark.parametrize("name", ["", "avg/", "valid/"])
@pytest.mark.parametrize(("old", "new"), [('"shape": [', '"shape":  ['), ('"zarr_format": 3', '"zarr_format": 2')])
def test_edited_metadata_is_refused(data: Path, name: str, old: str, new: str) -> None:
    seal(data)
    file = data / f"tiny.zarr/{name}zarr.json"
    file.write_text(file.read_text().replace(old, new) + " ")
    with pytest.raises(
        UnchokeError, match=rf"(?s)metadata of tiny.*{name}zarr\.json.*forcerun .*tiny\.zarr/zarr\.json$"
    ):
        open_complete(data / "tiny.zarr")


def test_a_seal_without_digests_or_with_another_is_refused(data: Path) -> None:
    seal(data)
    file = chunks.seal_file(data / "tiny.zarr")
    whole, sealed = file.read_bytes(), read_seal(data / "tiny.zarr")
    for content in (
        whole.replace(b'"images": 21', b'"images": 20'),
        signed_bytes({**sealed, "sha256": {"avg": [], "valid": []}}),
        signed_bytes({**sealed, "sha256": {}}),
        b"[]",
        b"{}",
    ):
        file.write_bytes(content)
        with pytest.raises(UnchokeError, match=r"(?s)seal or the metadata of tiny.*sealed\.json"):
            open_complete(data / "tiny.zarr")


def test_a_seal_of_the_version_before_digests_is_read_and_its_records_get_theirs(data: Path) -> None:
    seal(data)
    file, record = chunks.seal_file(data / "tiny.zarr"), chunks.record_file(data / "tiny.zarr", 1)
    old = {**read_seal(data / "tiny.zarr"), "version": 1}
    file.write_bytes(json_bytes({name: value for name, value in old.items() if name != "metadata"}))
    assert len(open_complete(data / "tiny.zarr").features("avg")) == N_IMAGES
    signed = record.read_bytes()
    record.write_bytes(json_bytes(chunks.read_record(data / "tiny.zarr", 1)))
    seal(data)
    assert record.read_bytes() == signed


def test_a_changed_record_is_named(data: Path) -> None:
    record = chunks.record_file(data / "tiny.zarr", 1)
    record.write_bytes(record.read_bytes().replace(b'"model": "m"', b'"model": "n"'))
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 1 of tiny.*1\.json.*--forcerun .*avg/c/1/0$"):
        seal(data)


@pytest.mark.parametrize("place", ["tiny.zarr/more", "tiny.zarr/avg/c/99", "tiny.chunks/99.json", "tiny.zarr/.x.tmp"])
@pytest.mark.parametrize("kind", ["link to a folder", "link to nothing", "folder"])
def test_a_stranger_of_any_kind_goes_and_what_it_leads_to_stays(data: Path, place: str, kind: str) -> None:
    outside, stranger = data / "outside", data / place
    (outside / "deep").mkdir(parents=True)
    if kind == "folder":
        (stranger / "deep").mkdir(parents=True)
    else:
        stranger.symlink_to(outside if kind == "link to a folder" else data / "nowhere")
    seal(data)
    assert not stranger.exists() and (outside / "deep").is_dir()
    # A link to nothing at the top is neither a folder nor a temporary file: it hinders nobody.
    assert not stranger.is_symlink() or (kind, place) == ("link to nothing", "tiny.zarr/more")


def test_what_cannot_be_deleted_is_named_and_the_store_stays_open(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(data)
    (data / "tiny.zarr/more").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(chunks.shutil, "rmtree", refuse)
    with pytest.raises(UnchokeError, match=r"(?s)cannot be deleted.*Permission denied.*tiny\.zarr/more"):
        seal(data)
    monkeypatch.undo()
    open_complete(data / "tiny.zarr")
