"""A group of results takes the place of the old one whole, or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.store import zarr_bytes
from unchoke.store.zarr_bytes import MemoryGroup, decode_chunk, encode_chunk, open_group, place_group, read_facts

FULL_DISK = """
import resource, sys
import numpy as np
from pathlib import Path
from unchoke.store.zarr_bytes import MemoryGroup, place_group
group = MemoryGroup({"name": "new"})
group.root.create_array("values", data=np.random.default_rng(0).random(100_000))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
place_group(group.contents(), Path(sys.argv[1]))
"""


def contents(name: str, values: list[float]) -> dict[str, bytes]:
    group = MemoryGroup({"name": name})
    group.root.create_array("values", data=np.array(values))
    return group.contents()


def found(folder: Path) -> tuple[str, list[float]]:
    group = zarr.open_group(folder, mode="r")
    return group.attrs["unchoke"]["name"], group["values"][:].tolist()


def test_a_new_group_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    place_group(contents("old", [1, 2, 3]), tmp_path / "g")
    place_group(contents("new", [4]), tmp_path / "g")
    assert found(tmp_path / "g") == ("new", [4])
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_write_that_fails_leaves_the_old_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    place_group(contents("old", [1, 2]), tmp_path / "g")
    calls, write = [], zarr_bytes.write_atomic

    def failing(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) == fails_at:
            raise OSError("no room")
        write(path, data)

    monkeypatch.setattr(zarr_bytes, "write_atomic", failing)
    with pytest.raises(OSError, match="no room"):
        place_group(contents("new", [4]), tmp_path / "g")
    assert found(tmp_path / "g") == ("old", [1, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_a_disk_that_fills_leaves_the_old_group(tmp_path: Path) -> None:
    """A real limit on the size of files, met in the middle of the group."""
    place_group(contents("old", [1, 2]), tmp_path / "g")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "g")],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    assert done.returncode == 1 and "limit on file sizes" in done.stderr
    assert found(tmp_path / "g") == ("old", [1, 2])


def test_what_a_killed_job_left_is_cleared(tmp_path: Path) -> None:
    place_group(contents("old", [1]), tmp_path / ".g.new.tmp")
    place_group(contents("older", [2]), tmp_path / ".g.old.tmp")
    place_group(contents("new", [3]), tmp_path / "g")
    assert found(tmp_path / "g") == ("new", [3])
    assert os.listdir(tmp_path) == ["g"]


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.sampled_from(["bool", "uint8", "float16", "float32"]),
    st.integers(0, 2**32 - 1),
)
def test_a_chunk_is_decoded_to_what_it_was_encoded_from(shape: list[int], name: str, seed: int) -> None:
    dtype = np.dtype(name)
    values = np.frombuffer(np.random.default_rng(seed).bytes(int(np.prod(shape)) * dtype.itemsize), dtype)
    values = (values.view(np.uint8) % 2).astype(bool) if name == "bool" else values  # bits of any kind, NaN among them
    found = decode_chunk(encode_chunk(values.reshape(shape)), tuple(shape), dtype)
    assert (found.shape, found.dtype) == (tuple(shape), dtype)
    assert found.tobytes() == values.tobytes()


@pytest.mark.parametrize("place", [0, 10, -1])
def test_a_chunk_with_a_changed_byte_is_not_decoded(place: int) -> None:
    data = bytearray(encode_chunk(np.arange(100, dtype=np.float16)))
    data[place] ^= 0xFF
    with pytest.raises((RuntimeError, ValueError)):
        decode_chunk(bytes(data), (100,), np.dtype(np.float16))


@pytest.mark.parametrize("key", ["zarr.json", "values/zarr.json", "values/c/0"])
@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_a_file_of_a_group_that_is_missing_or_changed_is_named_before_anything_is_read(
    tmp_path: Path, key: str, harm: str
) -> None:
    place_group(contents("new", [1, 2]), tmp_path / "g")
    assert open_group(tmp_path / "g")["values"][:].tolist() == [1, 2]
    assert read_facts(tmp_path / "g") == {"name": "new"}
    file = tmp_path / "g" / key
    file.unlink() if harm == "missing" else file.write_bytes(file.read_bytes()[:-5] + b"?")
    expected = rf"(?s)A file of g is missing or changed.*g/{key}.*--forcerun .*g/zarr\.json$"
    with pytest.raises(UnchokeError, match=expected):
        open_group(tmp_path / "g")


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"attributes": []}', '{"attributes": {"digest": 1}}'])
def test_a_group_without_a_digest_is_refused(tmp_path: Path, text: str) -> None:
    place_group(contents("new", [1]), tmp_path / "g")
    (tmp_path / "g/zarr.json").write_text(text)
    with pytest.raises(UnchokeError, match="A file of g is missing or changed"):
        read_facts(tmp_path / "g")
