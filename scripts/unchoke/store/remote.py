"""Sealed features behind a URL (``s3://``, ``gs://``, ``https://``), read in place through Zarr's stores over fsspec.

Opening reads the seal and the metadata. Every file is compared with its digest in the seal before it is used. A changed
file raises, and so does a missing one, which Zarr would fill with zeros. For this comparison, even a small part of a
shard costs one read of the whole shard.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, WrapperStore

from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes
from unchoke.signed import signed_content
from unchoke.store.chunks import VALID
from unchoke.store.origin import origin_of_seal
from unchoke.store.read import seal_problem, sealed_before
from unchoke.store.zarr_bytes import METADATA

ENDING = ".zarr"


@dataclass(frozen=True)
class RemoteStore:
    """A sealed store behind a URL. Made by ``open_remote``."""

    url: str
    seal: dict[str, Any]
    origin: dict[str, Any]
    """The record of ``store.origin.write_origin``; empty where there is none."""
    group: zarr.Group = field(repr=False)
    """The arrays as Zarr sees them, read only."""

    def features(self, pool: str) -> NDArray[np.floating]:
        """All features of a pool, float16 or float32 (N, D), in the order of the image ids."""
        if pool not in self.seal["widths"]:
            raise UnchokeError(f"The store has no pool '{pool}'.", found=", ".join(self.seal["widths"]), where=self.url)
        return np.asarray(self.group[pool][:])  # type: ignore[index]

    def valid(self) -> NDArray[np.bool_]:
        """bool (N,): whether the image of the row could be read."""
        return np.asarray(self.group[VALID][:])  # type: ignore[index]


class CheckedStore(WrapperStore[FsspecStore]):
    """A store that compares every file with the seal."""

    def __init__(self, store: FsspecStore, seal: dict[str, Any], url: str) -> None:
        """seal: holds the SHA-256 of every file of an array by the array's name, and of metadata by the file's name."""
        super().__init__(store)
        self.digests: Mapping[str, list[str]] = seal["sha256"]
        self.metadata: Mapping[str, str] = seal.get("metadata", {})
        self.url = url
        self._checked: set[str] = set()

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The bytes of a key, or a part of them. Raises UnchokeError if the file differs from the seal."""
        if key in self.metadata and byte_range is None:
            data = await self._store.get(key, prototype)
            self._compare(key, data, self.metadata[key])
            return data
        if "/c/" not in key:
            return await self._store.get(key, prototype, byte_range)
        if byte_range is not None and key not in self._checked:
            self._check(key, await self._store.get(key, prototype))
            self._checked.add(key)
        data = await self._store.get(key, prototype, byte_range)
        if byte_range is None:
            self._check(key, data)
        return data

    def _check(self, key: str, data: Buffer | None) -> None:
        name, _, place = key.partition("/c/")
        self._compare(key, data, self.digests[name][int(place.split("/")[0])])

    def _compare(self, key: str, data: Buffer | None, expected: str) -> None:
        if data is None:
            raise self._damaged(key, "no file")
        if (found := sha256_bytes(data.to_bytes())) != expected:
            raise self._damaged(key, f"sha256 {found}", f"sha256 {expected}, as it was sealed")

    def _damaged(self, key: str, found: str, expected: str = "") -> UnchokeError:
        return UnchokeError(
            "A chunk of a store behind a URL is missing or changed.",
            found=found,
            expected=expected,
            where=f"{self.url}/{key}",
            do="copy the store there again, together with its seal",
        )


def is_url(path: str) -> bool:
    """Whether `path` is to be opened by fsspec: it begins with a protocol."""
    return "://" in path


def open_remote(url: str, storage_options: Mapping[str, Any] | None = None) -> RemoteStore:
    """Open a sealed store at a URL that ends in ``.zarr``, with its seal beside it, for reading.

    storage_options: what fsspec hands to the filesystem, such as ``{"anon": True}``. Raises UnchokeError where there is
    no sealed store, or the package for the protocol is not installed.
    """
    url, options = url.rstrip("/"), dict(storage_options or {})
    if not url.endswith(ENDING):
        raise UnchokeError("A URL names no feature store.", found=url, expected=f"a store, which ends in {ENDING}")
    try:
        files, folder = fsspec.url_to_fs(url, **options)
        store = FsspecStore.from_url(url, storage_options=options, read_only=True)
    except (ImportError, ValueError) as error:
        raise UnchokeError(
            "A URL cannot be opened.", found=str(error), where=url, do="for s3://: pip install 'unchoke[s3]'"
        ) from error
    beside = folder.removesuffix(ENDING)
    seal, origin = _read(files, f"{beside}.sealed.json"), _read(files, f"{beside}.origin.json")
    if seal is None or not files.exists(f"{folder}/{METADATA}"):
        raise UnchokeError(
            "There are no sealed features at a URL.",
            found="no seal" if seal is None else f"no {METADATA}",
            expected=f"the store, and {url.removesuffix(ENDING)}.sealed.json beside it",
            where=url,
            do="copy both there after the run has sealed them",
        )
    record = signed_content(seal, sealed_before)
    if record is None or seal_problem(record):
        raise UnchokeError(
            "The seal of a store behind a URL is not as it was written.",
            found=seal_problem(record) if record else "another digest than the one that it holds",
            where=f"{url.removesuffix(ENDING)}.sealed.json",
            do="copy the store there again, together with its seal",
        )
    group = zarr.open_group(CheckedStore(store, record, url), mode="r")
    return RemoteStore(url, record, origin_of_seal(json.loads(origin), seal) if origin else {}, group)


def _read(files: Any, path: str) -> bytes | None:
    try:
        return bytes(files.cat_file(path))
    except FileNotFoundError:
        return None
