"""Stage: fingerprints. Some chunks of images become one chunk of hashes and measures, without an encoder."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unchoke import stores, versions
from unchoke.files import files_sha256
from unchoke.fingerprints import HASHES, MEASURES, fingerprint_batch
from unchoke.images import UnreadableImageError, pixels_of
from unchoke.memory_watch import peak_memory_mb
from unchoke.sources import open_images

MB = 2**20
_MOST_BATCH_MB = 32  # more is no faster
_WORKING_COPIES = 8  # what a batch may take, over its own bytes: slices, pixels, what is computed with


@dataclass(frozen=True)
class Fingerprinting:
    """What the bytes of a chunk depend on beside its images."""

    chunk_size: int
    """Rows of a chunk of the store."""
    rows_files: int
    """How many rows files make one such chunk."""
    max_pixels: int
    """As for decoding."""


@dataclass
class Fingerprints:
    """The fingerprints of some images, in their order."""

    hashes: NDArray[np.uint64]
    """(N, 3), columns ``fingerprints.HASHES``."""
    measures: NDArray[np.float32]
    """(N, 6), columns ``fingerprints.MEASURES``."""
    valid: NDArray[np.bool_]
    """(N,): whether the image could be read; the other rows are zeros."""
    reasons: dict[int, str]
    """Why a row is not valid."""
    seconds: dict[str, float]


def fingerprint_images(kind: str, root: Path, paths: list[str], max_pixels: int, memory_mb: int) -> Fingerprints:
    """Fingerprints of the images of a source, read in batches that keep this process below `memory_mb`, MB."""
    started, n = time.perf_counter(), len(paths)
    found = Fingerprints(
        np.zeros((n, len(HASHES)), np.uint64), np.zeros((n, len(MEASURES)), np.float32), np.zeros(n, bool), {}, {}
    )
    seconds = dict.fromkeys(("read", "decode", "encode"), 0.0)
    pictures = _pictures(kind, root, paths, max_pixels, memory_mb, found.reasons, seconds)
    with threadpool_limits(1, "blas"):  # other jobs have the other cores
        for rows_B, rgb_BHW3 in _batches(pictures):
            before = time.perf_counter()
            found.hashes[rows_B], found.measures[rows_B] = fingerprint_batch(rgb_BHW3)
            found.valid[rows_B] = True
            seconds["encode"] += time.perf_counter() - before
    found.seconds = {**seconds, "total": time.perf_counter() - started}
    return found


def _pictures(
    kind: str,
    root: Path,
    paths: list[str],
    max_pixels: int,
    memory_mb: int,
    reasons: dict[int, str],
    seconds: dict[str, float],
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Row and pixels, uint8 (H, W, 3), of every image that can be read; the others leave their reason."""
    start, count = 0, 1
    while start < len(paths):
        size_mb = 0.0
        for row, reader in enumerate(open_images(kind, root, paths[start : start + count]), start):
            began = read = time.perf_counter()
            try:
                data = reader()
                read = time.perf_counter()
                pixels = pixels_of(data, max_pixels=max_pixels)
            except UnreadableImageError as error:
                reasons[row] = str(error)
            else:
                size_mb = max(size_mb, pixels.nbytes / MB)
                seconds["read"] += read - began
                seconds["decode"] += time.perf_counter() - read
                yield row, pixels
        start += count
        count = max(1, int(_batch_mb(memory_mb) / size_mb)) if size_mb else count


def _batch_mb(memory_mb: int) -> float:
    free_mb = memory_mb - psutil.Process().memory_info().rss / MB
    return min(_MOST_BATCH_MB, free_mb / _WORKING_COPIES)


def _batches(
    pictures: Iterable[tuple[int, NDArray[np.uint8]]], most_mb: float = _MOST_BATCH_MB / 4
) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Runs of pictures of one size, of `most_mb` MB at most or of one picture: their rows, and uint8 (B, H, W, 3)."""
    rows: list[int] = []
    batch: list[NDArray[np.uint8]] = []
    for row, pixels in pictures:
        if batch and (pixels.shape != batch[0].shape or (len(batch) + 1) * pixels.nbytes > most_mb * MB):
            yield rows, np.stack(batch)
            rows, batch = [], []
        rows.append(row)
        batch.append(pixels)
    if batch:
        yield rows, np.stack(batch)


def save_fingerprints(
    store: Path, chunk: int, rows: pd.DataFrame, rows_files: list[Path], found: Fingerprints, settings: Fingerprinting
) -> None:
    """Write a chunk, padded to chunk_size rows, and a record of what it was made from.

    rows: the columns of ``tables.ROW_COLUMNS``, those of all `rows_files` one after the other.
    """
    arrays: dict[str, NDArray[Any]] = {
        stores.HASHES: _padded(found.hashes, settings.chunk_size),
        stores.MEASURES: _padded(found.measures, settings.chunk_size),
        stores.VALID: _padded(found.valid, settings.chunk_size),
    }
    ids = rows["image_id"].tolist()
    record = {
        "rows_sha256": files_sha256(rows_files),
        "settings": {"version": versions.FINGERPRINTS, **asdict(settings)},
        "invalid": [{"image_id": ids[row], "reason": reason} for row, reason in found.reasons.items()],
        "images": int(found.valid.sum()),
        "seconds": found.seconds,
        "threads": 1,
        "peak_mb": {"host": peak_memory_mb()},
    }
    stores.write_chunk(store, chunk, arrays, record)


def _padded(values: NDArray[Any], rows: int) -> NDArray[Any]:
    padded = np.zeros((rows, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return padded
