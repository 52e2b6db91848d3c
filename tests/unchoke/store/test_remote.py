"""Sealed features behind a URL, read from a server of the S3 protocol on this machine, and from memory."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from small_stores import CHUNK, HERE, N, X, changed, write

import unchoke
from unchoke.errors import UnchokeError
from unchoke.store.remote import RemoteStore, is_url

BUCKET = "s3://features/few"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server of the S3 protocol, which keeps its buckets in memory."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> "fsspec.AbstractFileSystem":
    """The server's files, under the keys and the address that the environment gives."""
    environment = {"AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    for name, value in {**environment, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    files = fsspec.filesystem("s3", use_listings_cache=False)
    if not files.exists("features"):
        files.mkdir("features")
    return files


def upload(files: "fsspec.AbstractFileSystem", store: Path, place: str) -> str:
    """Put a store, its seal and its origin below `place`; the store's URL."""
    for source in store.parent.rglob("*"):
        if source.is_file() and source.relative_to(store.parent).parts[0].startswith(f"{store.stem}."):
            files.pipe_file(f"{place}/{source.relative_to(store.parent)}", source.read_bytes())
    return f"{place}/{store.name}"


def test_features_are_read_from_s3_as_from_the_disk(s3: "fsspec.AbstractFileSystem", tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.zarr", invalid=[3], made_by=HERE)
    opened, local = unchoke.open_features(upload(s3, path, BUCKET)), unchoke.open_features(path)
    assert isinstance(opened, RemoteStore)
    np.testing.assert_array_equal(opened.features("avg"), local.features("avg"))
    assert opened.valid().tolist() == local.valid().tolist() == [row != 3 for row in range(N)]
    assert opened.seal == local.seal and opened.origin["made"][0]["by"] == HERE
    with pytest.raises(UnchokeError, match=r"(?s)no pool 'max'.*avg.*s3://features"):
        opened.features("max")
    with pytest.raises(ValueError, match="read-only"):
        opened.group["avg"][0] = 1


def test_a_run_here_and_one_behind_a_url_are_compared(s3: "fsspec.AbstractFileSystem", tmp_path: Path) -> None:
    here = write(tmp_path / "here" / "tiny.zarr", made_by=HERE)
    there = write(tmp_path / "there" / "tiny.zarr", changed(r9_1=7), made_by={**HERE, "host": "right"})
    found = unchoke.compare(here, upload(s3, there, f"{BUCKET}/there"))
    assert (found.arrays["avg"].rows, found.arrays["avg"].chunks) == (1, (2,))
    assert found.makers == {"host": ("left", "right")} and BUCKET in str(found)


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_harm_is_found_when_the_chunk_is_read(s3: "fsspec.AbstractFileSystem", tmp_path: Path, harm: str) -> None:
    url = upload(s3, write(tmp_path / "tiny.zarr"), f"{BUCKET}/{harm}")
    chunk = f"{url}/avg/c/2/0"
    if harm == "missing":
        s3.rm_file(chunk)
    else:
        other = upload(s3, write(tmp_path / "other" / "tiny.zarr", X + 1), f"{BUCKET}/other")
        s3.pipe_file(chunk, s3.cat_file(f"{other}/avg/c/2/0"))  # whole, but of something else
    opened = unchoke.open_features(url)
    np.testing.assert_array_equal(opened.group["avg"][: 2 * CHUNK], X[: 2 * CHUNK])
    with pytest.raises(UnchokeError, match=rf"(?s)missing or changed.*{'no file' if harm == 'missing' else 'sha256'}"):
        opened.features("avg")


def test_a_shard_is_compared_before_a_part_of_it_is_used(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    url = upload(files, write(tmp_path / "tiny.zarr", size=8, per_shard=2), "memory://shards")
    opened = unchoke.open_features(url)
    np.testing.assert_array_equal(opened.group["avg"][5:7], X[5:7])
    np.testing.assert_array_equal(opened.features("avg"), X)
    other = upload(files, write(tmp_path / "other" / "tiny.zarr", X + 1, size=8, per_shard=2), "memory://others")
    for chunk, rows in ((0, slice(3)), (2, slice(16, None))):  # a part of a shard, and all rows of the last one
        swapped = upload(files, tmp_path / "tiny.zarr", f"memory://swapped{chunk}")
        files.pipe_file(f"{swapped}/avg/c/{chunk}/0", files.cat_file(f"{other}/avg/c/{chunk}/0"))
        with pytest.raises(UnchokeError, match=rf"(?s)sha256.*as it was sealed.*avg/c/{chunk}/0"):
            unchoke.open_features(swapped).group["avg"][rows]
    files.rm_file(f"{url}/avg/c/1/0")
    opened = unchoke.open_features(url)
    np.testing.assert_array_equal(opened.group["avg"][:8], X[:8])
    for rows in (slice(9, 10), slice(None)):
        with pytest.raises(UnchokeError, match=r"(?s)no file.*memory://shards/tiny\.zarr/avg/c/1/0"):
            opened.group["avg"][rows]


@pytest.mark.parametrize("lost", ["tiny.sealed.json", "tiny.zarr/zarr.json"])
def test_what_is_not_sealed_is_refused(tmp_path: Path, lost: str) -> None:
    files = fsspec.filesystem("memory")
    url = upload(files, write(tmp_path / "tiny.zarr"), "memory://unsealed")
    files.rm_file(f"memory://unsealed/{lost}")
    with pytest.raises(UnchokeError, match=r"(?s)no sealed features.*tiny\.sealed\.json beside it"):
        unchoke.open_features(url)


def test_the_origin_of_another_seal_is_left_out(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    url = upload(files, write(tmp_path / "tiny.zarr"), "memory://origin")
    files.pipe_file("memory://origin/tiny.origin.json", b'{"seal_sha256": "another"}')
    assert unchoke.open_features(url).origin == {}
    files.rm_file("memory://origin/tiny.origin.json")
    assert unchoke.open_features(url).origin == {}


@pytest.mark.parametrize(
    ("url", "said"),
    [("s3://features/tiny.npy", r"ends in \.zarr"), ("nope://features/tiny.zarr", "cannot be opened.*nope")],
)
def test_urls_of_no_store_are_refused(url: str, said: str) -> None:
    with pytest.raises(UnchokeError, match=f"(?s){said}"):
        unchoke.open_features(url)


def test_what_reads_the_protocol_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_s3fs(*arguments: object, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.url_to_fs", no_s3fs)
    with pytest.raises(UnchokeError, match=r"(?s)Install s3fs.*unchoke\[s3\]"):
        unchoke.open_features("s3://features/tiny.zarr")


def test_paths_are_no_urls() -> None:
    assert [is_url(path) for path in ("s3://b/x.zarr", "results/x.zarr", "/a:b/x.zarr")] == [True, False, False]
