"""The bytes of Zarr stores: encoded in memory by zarr-python, then written atomically, metadata last."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.abc.buffer import Buffer
from zarr.buffer.cpu import Buffer as HostBuffer
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from unchoke.errors import UnchokeError, mend
from unchoke.files import note_renamed, sync_folder, write_atomic
from unchoke.hashing import sha256_bytes, sha256_json
from unchoke.machine.receipts import difference
from unchoke.signed import DIGEST

METADATA = "zarr.json"
_LEVEL = 1  # of Zstandard
_FILES = "sha256"  # attribute of a group's root: the digest of every other file, by its key


class MemoryGroup:
    """A Zarr group in memory, to be written out as its bytes."""

    def __init__(self, facts: dict[str, Any] | None = None) -> None:
        """facts: plain data for the attribute ``unchoke``."""
        self._memory: dict[str, Buffer] = {}
        self.root = zarr.create_group(MemoryStore(self._memory), attributes={"unchoke": facts or {}})

    def put(self, key: str, data: bytes) -> None:
        """The bytes of a chunk, as they would be in a file."""
        self._memory[key] = HostBuffer.from_bytes(data)

    def contents(self) -> dict[str, bytes]:
        """Every key of the group and its bytes."""
        return {key: buffer.to_bytes() for key, buffer in self._memory.items()}


def encode_chunk(values: NDArray[Any], inner: int = 1) -> bytes:
    """The bytes of a chunk as Zarr writes it; they do not depend on the length of the whole array.

    inner: as for ``create_array``. A chunk that is no shard goes to Zarr's codec alone: Zarr itself would have another
    thread do it, which takes milliseconds.
    """
    if inner == 1:
        return bytes(Zstd(_LEVEL, checksum=True).encode(np.ascontiguousarray(values, values.dtype.newbyteorder("<"))))
    group = MemoryGroup()
    create_array(group.root, "one", values.shape, values.shape, values.dtype, inner=inner)[...] = values
    return group.contents()["one/c" + "/0" * values.ndim]


def decode_chunk(data: bytes, shape: tuple[int, ...], dtype: np.dtype, inner: int = 1) -> NDArray[Any]:
    """The array of this shape and dtype that ``encode_chunk`` turned into these bytes."""
    if inner == 1:
        values = np.frombuffer(Zstd().decode(data), dtype.newbyteorder("<")).reshape(shape)
        return values.astype(dtype)  # a copy, which can be written to
    group = MemoryGroup()
    array = create_array(group.root, "one", shape, shape, dtype, inner=inner)
    group.put("one/c" + "/0" * len(shape), data)
    return np.asarray(array[...])


def create_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: np.dtype,
    dimensions: tuple[str, ...] | None = None,
    inner: int = 1,
) -> zarr.Array:
    """An array with our codecs, Zstandard with a checksum; chunks of zeros are written like any other.

    chunks: shape of the part in one file. inner: number of chunks of equal rows in a file; above 1 the file is a shard.
    """
    return group.create_array(
        name,
        shape=shape,
        chunks=(chunks[0] // inner, *chunks[1:]),
        shards=chunks if inner > 1 else None,
        dtype=dtype,
        compressors=ZstdCodec(level=_LEVEL, checksum=True),
        fill_value=0,
        dimension_names=dimensions,
        config={"write_empty_chunks": True},
    )


def signed_group(contents: dict[str, bytes], others: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """`contents` of a group whose root's metadata holds the digest of every other file, and its own.

    others: sha256, by key, of files that are already written.
    """
    root = json.loads(contents[METADATA])
    files = {key: sha256_bytes(data) for key, data in contents.items() if key != METADATA}
    root["attributes"][_FILES] = {**files, **(others or {})}
    root["attributes"][DIGEST] = sha256_json(root)
    return {**contents, METADATA: json.dumps(root, indent=2).encode()}


def read_facts(folder: Path) -> dict[str, Any]:
    """The attribute ``unchoke`` of a group that ``signed_group`` made; UnchokeError where its metadata was changed."""
    return _checked_root(folder)["unchoke"]  # type: ignore[no-any-return]


def group_files(folder: Path) -> dict[str, str]:
    """The digest of every file of a group but its root's metadata, by key."""
    return _checked_root(folder)[_FILES]  # type: ignore[no-any-return]


def open_group(folder: Path, jobs: str = "") -> zarr.Group:
    """A group that ``signed_group`` made, after every file of it was compared with its digest.

    Zarr itself would put zeros in the place of a missing chunk. jobs: prefix of the keys that have a job each. Raises
    UnchokeError with the file and the command that makes it again.
    """
    for key, sha256 in group_files(folder).items():
        if found := difference(folder / key, sha256):
            target = folder / (key if jobs and key.startswith(jobs) else METADATA)
            raise _damaged_group(folder, folder / key, found, f"sha256 {sha256}, as it was written", target)
    return zarr.open_group(folder, mode="r")


def _checked_root(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    try:
        root = json.loads(path.read_bytes())
        attributes: dict[str, Any] = root["attributes"]
        digest = attributes.pop(DIGEST)
        if sha256_json(root) == digest:
            return attributes
        found = "another digest than its own"
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        found = f"no digest of ours: {error or type(error).__name__}" if path.exists() else "no file"
    raise _damaged_group(folder, path, found, "", path)


def _damaged_group(folder: Path, path: Path, found: str, expected: str, target: Path) -> UnchokeError:
    return UnchokeError(
        f"A file of {folder.name} is missing or changed.",
        found=found,
        expected=expected,
        where=str(path),
        do=mend(target),
    )


def place_group(contents: dict[str, bytes], folder: Path) -> None:
    """Replace the Zarr group in `folder` by another one, given as bytes by key.

    Its root's metadata gets the digests of all files.

    The new group is written beside the old one, then renamed. A full disk leaves the old group unchanged, and no reader
    can open a mixture.
    """
    temporary, old = (folder.with_name(f".{folder.name}.{word}.tmp") for word in ("new", "old"))
    for left in (temporary, old):  # leftovers of a killed job
        shutil.rmtree(left, ignore_errors=True)
    try:
        write_metadata_last(signed_group(contents), temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    note_renamed(temporary, folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_metadata_last(contents: dict[str, bytes], folder: Path) -> None:
    """Write data first, then metadata, the deepest folders first and the root last."""
    for key in sorted(contents, key=lambda key: (key.endswith(METADATA), -key.count("/"), key)):
        write_atomic(folder / key, contents[key])
