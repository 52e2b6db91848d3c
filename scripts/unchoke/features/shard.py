"""Stage: features, with several chunks a job as the config says. They become one shard of each pool's array."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.features.chunk import Chunk, chunk_record, write_chunk
from unchoke.files import files_sha256
from unchoke.store import chunks
from unchoke.store.origin import group_makers, sum_rounding
from unchoke.store.partial_shards import Draft, read_draft, remove_drafts, write_draft
from unchoke.store.tables import ROW_COLUMNS, read_rows


def extract_shard(
    store: Path,
    shard: int,
    rows_files: Sequence[Path],
    chunks_per_shard: int,
    encode: Callable[[pd.DataFrame], Chunk],
    settings: dict[str, Any],
) -> None:
    """Write a shard and its record; if chunks_per_shard is 1, write one chunk.

    rows_files: of its chunks in order, at most chunks_per_shard; zeros stand for the chunks that the last shard lacks.
    encode: makes a chunk from a table of rows. settings: of the encoding, for the record. Chunks are made one after the
    other, and each is kept as a draft until the shard is written. Drafts of a killed call are reused.
    """
    if chunks_per_shard == 1:
        write_chunk(store, shard, rows_files[0], encode(read_rows(rows_files[0], ROW_COLUMNS)), settings)
        return
    settings = {**settings, "rows_files": chunks_per_shard}
    parts, made_before = [], 0
    for chunk, file in enumerate(rows_files, start=shard * chunks_per_shard):
        draft = read_draft(store, shard, chunk, _origin([file], settings))
        made_before += draft is not None
        if draft is None:
            features = encode(read_rows(file, ROW_COLUMNS))
            draft = Draft(features.arrays, chunk_record(file, features, settings))
            write_draft(store, shard, chunk, draft)
        parts.append(draft)
    if made_before:
        print(f"took up {made_before} of {len(rows_files)} chunks that a killed job had made", flush=True)
    record = {**_summed([part.record for part in parts]), **_origin(rows_files, settings)}
    chunks.write_chunk(store, shard, _one_after_the_other(parts, chunks_per_shard), record, chunks_per_shard)
    remove_drafts(store, shard)


def _summed(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The records of all chunks, summed."""
    seconds, peaks = records[0]["seconds"], records[0]["peak_mb"]
    return {
        "invalid": [entry for record in records for entry in record["invalid"]],
        "digests": {image_id: entry for record in records for image_id, entry in record.get("digests", {}).items()},
        "images": sum(record["images"] for record in records),
        "rounding_errors": sum_rounding(records),
        "seconds": {stage: sum(record["seconds"][stage] for record in records) for stage in seconds},
        "threads": records[-1]["threads"],
        "peak_mb": {meter: max(record["peak_mb"][meter] for record in records) for meter in peaks},
        "makers": group_makers(record["made_by"] for record in records),
    }


def _one_after_the_other(parts: Sequence[Draft], count: int) -> dict[str, NDArray[Any]]:
    """The arrays of all parts, padded with zeros to `count` parts."""
    whole = {}
    for name, first in parts[0].arrays.items():
        whole[name] = np.zeros((count * len(first), *first.shape[1:]), first.dtype)
        for place, part in enumerate(parts):
            whole[name][place * len(first) : (place + 1) * len(first)] = part.arrays[name]
    return whole


def _origin(rows_files: Sequence[Path], settings: dict[str, Any]) -> dict[str, Any]:
    return {"rows_sha256": files_sha256(rows_files), "settings": settings}
