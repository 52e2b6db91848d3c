"""Drafts: finished chunks of a shard, kept beside its store until the shard is whole.

    <store>.drafts/<shard>/<chunk>.draft    SHA-256 of the rest (32 bytes), then a .npz of the arrays and the record

Drafts are written without fsync. After a crash of the machine, the digest shows a half-written draft; its chunk is made
again.
"""

import io
import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unchoke.files import json_bytes, write_atomic

_DIGEST_BYTES = 32
_RECORD = "record.json"  # names of arrays have no dot


class Draft(NamedTuple):
    """A finished chunk of a shard."""

    arrays: dict[str, NDArray[Any]]
    record: dict[str, Any]
    """Plain data: digests of its inputs, and its settings."""


def drafts_folder(store: Path) -> Path:
    """Where the drafts of all shards of a store lie."""
    return store.with_suffix(".drafts")


def draft_file(store: Path, shard: int, chunk: int) -> Path:
    """Where the draft of a chunk lies; chunk: its number in the whole store."""
    return drafts_folder(store) / str(shard) / f"{chunk}.draft"


def write_draft(store: Path, shard: int, chunk: int, draft: Draft) -> None:
    """Keep a finished chunk."""
    file = io.BytesIO()
    members: dict[str, Any] = {**draft.arrays, _RECORD: np.frombuffer(json_bytes(draft.record), np.uint8)}
    np.savez(file, **members)
    data = file.getvalue()
    write_atomic(draft_file(store, shard, chunk), sha256(data).digest() + data, sync=False)


def read_draft(store: Path, shard: int, chunk: int, origin: dict[str, Any]) -> Draft | None:
    """The draft of a chunk if it is whole and its record contains all of `origin`; else None."""
    path = draft_file(store, shard, chunk)
    kept = path.read_bytes() if path.is_file() else b""
    digest, data = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
    if digest != sha256(data).digest():
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    record = json.loads(values.pop(_RECORD).tobytes())
    same = json_bytes({key: record[key] for key in origin}) == json_bytes(origin)
    return Draft(values, record) if same else None


def remove_drafts(store: Path, shard: int) -> None:
    """Remove all drafts of a shard that is whole."""
    shutil.rmtree(drafts_folder(store) / str(shard), ignore_errors=True)
