"""Stage: fingerprints. Some chunks of images become one chunk of hashes and measures, without an encoder."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unchoke import versions
from unchoke.cleaning.measures import HASHES, MEASURES, fingerprint_batch, fingerprint_rows
from unchoke.errors import UnreadableImageError
from unchoke.files import files_sha256
from unchoke.images.decode import check_size, decode_stored
from unchoke.images.upright import Stored
from unchoke.machine.memory_watch import peak_memory_mb
from unchoke.machine.suspects import in_flight, is_careful
from unchoke.sources.source import Content, read_images
from unchoke.store import chunks

MB = 2**20
_MOST_BATCH_MB = 32  # more is no faster
_MOST_RUN_MB = _MOST_BATCH_MB / 4

_Picture = NDArray[np.uint8] | Stored
"""Pixels of n pictures of one size, uint8 (n, H, W, 3), or a large picture as its decoder gives it."""


@dataclass(frozen=True)
class Fingerprinting:
    """The settings that the bytes of a chunk depend on."""

    chunk_size: int
    """Rows of a chunk of the store."""
    rows_files: int
    """Number of rows files in one such chunk."""
    max_pixels: int
    """As for decoding."""


@dataclass
class Fingerprints:
    """The fingerprints of some images, in their order."""

    hashes: NDArray[np.uint64]
    """(N, 3), columns ``cleaning.measures.HASHES``."""
    measures: NDArray[np.float32]
    """(N, 6), columns ``cleaning.measures.MEASURES``."""
    valid: NDArray[np.bool_]
    """(N,): whether the image could be read; the other rows are zeros."""
    reasons: dict[int, str]
    """Why a row is not valid."""
    seconds: dict[str, float]


def fingerprint_chunk(rows: pd.DataFrame, kind: str, root: Path, max_pixels: int, memory_mb: int) -> Fingerprints:
    """Fingerprints of the images of a source.

    rows: the columns of ``tables.ROW_COLUMNS``. memory_mb: limit of this process, MB. A batch takes a sixteenth of it,
    and the batch that is read ahead as much again.
    """
    started, n = time.perf_counter(), len(rows)
    found = Fingerprints(
        np.zeros((n, len(HASHES)), np.uint64), np.zeros((n, len(MEASURES)), np.float32), np.zeros(n, bool), {}, {}
    )
    seconds = dict.fromkeys(("read", "decode", "encode"), 0.0)
    paths = rows["path"].tolist()
    batches = _read_ahead(rows, kind, root, min(_MOST_BATCH_MB, memory_mb / 16) * MB, seconds)
    with threadpool_limits(1, "blas"):  # other jobs use the other cores
        for rows_B, pictures in _of_one_size(_pictures(paths, batches, max_pixels, found.reasons, seconds)):
            before = time.perf_counter()
            found.hashes[rows_B], found.measures[rows_B] = _fingerprints(pictures)
            del pictures  # else a large one would stay in memory while the next is decoded
            found.valid[rows_B] = True
            seconds["encode"] += time.perf_counter() - before
    found.seconds = {**seconds, "total": time.perf_counter() - started}
    return found


def _read_ahead(
    rows: pd.DataFrame, kind: str, root: Path, most_bytes: float, seconds: dict[str, float]
) -> Iterator[list[Content]]:
    """The contents of all images in batches; a thread reads the next batch while this one is processed.

    Time spent waiting for the thread counts as reading.
    """
    batch_N = np.cumsum(rows["size_bytes"].clip(lower=0)) // most_bytes
    paths = [batch["path"].tolist() for _, batch in rows.groupby(batch_N, sort=True)]
    if is_careful():
        for path in rows["path"]:
            yield list(read_images(kind, root, [path]))
        return
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(_read, kind, root, paths[0])
        for number in range(len(paths)):
            began = time.perf_counter()
            batch = ahead.result()
            if number + 1 < len(paths):
                ahead = reader.submit(_read, kind, root, paths[number + 1])
            seconds["read"] += time.perf_counter() - began
            yield batch


def _read(kind: str, root: Path, paths: list[str]) -> list[Content]:
    return list(read_images(kind, root, paths))


def _pictures(
    paths: Sequence[str],
    batches: Iterable[list[Content]],
    max_pixels: int,
    reasons: dict[int, str],
    seconds: dict[str, float],
) -> Iterator[tuple[range, _Picture]]:
    """Rows and pixels of every readable image; the reasons of the others are collected."""
    behind = 0
    for data in chain.from_iterable(batches):
        began = time.perf_counter()
        rows = range(behind, behind + _count(data))
        behind = rows.stop
        try:
            if isinstance(data, UnreadableImageError):
                raise data
            with in_flight(paths[rows.start]):
                picture = _decoded(data, max_pixels)
        except UnreadableImageError as error:
            reasons.update(dict.fromkeys(rows, str(error)))
            continue
        seconds["decode"] += time.perf_counter() - began
        yield rows, picture
        del picture  # else a large one would stay in memory while the next is decoded


def _count(data: Content) -> int:
    """Number of images."""
    return len(data) if isinstance(data, np.ndarray) and data.ndim == 4 else 1


def _decoded(data: bytes | NDArray[np.uint8], max_pixels: int) -> _Picture:
    """Pixels; of a large picture the decoder's own, at most 4 bytes a pixel, as RGB would double the memory."""
    if not isinstance(data, bytes):
        pixels_N = data.reshape(-1, *data.shape[-3:])
        check_size(pixels_N.shape[2], pixels_N.shape[1], max_pixels)
        return pixels_N
    picture = decode_stored(data, max_pixels=max_pixels)
    width, height = picture.size
    return picture if 3 * width * height > _MOST_RUN_MB * MB else picture.rows(0, height)[None]


def _fingerprints(picture: _Picture) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Hashes and measures of pictures of one size (B, H, W, 3), or of one large picture."""
    if isinstance(picture, np.ndarray):
        return fingerprint_batch(picture)
    width, height = picture.size
    return fingerprint_rows(picture.rows, height, width)


def _of_one_size(
    pictures: Iterable[tuple[range, _Picture]], most_mb: float = _MOST_RUN_MB
) -> Iterator[tuple[list[int], _Picture]]:
    """Runs of pictures of one size, of `most_mb` MB at most: their rows, and uint8 (B, H, W, 3); large ones alone."""
    rows: list[int] = []
    batch: list[NDArray[np.uint8]] = []
    for rows_N, picture in pictures:
        if batch and not _joins(picture, batch[0], len(rows), most_mb):
            yield rows, _joined(batch)
            rows, batch = [], []
        if isinstance(picture, np.ndarray):
            rows += rows_N
            batch.append(picture)
        else:
            yield [*rows_N], picture
        del picture  # see `_pictures`
    if batch:
        yield rows, _joined(batch)


def _joins(picture: _Picture, first: NDArray[np.uint8], count: int, most_mb: float) -> bool:
    """Whether pictures fit to `count` others, of which `first` is one or several."""
    if not isinstance(picture, np.ndarray) or picture.shape[1:] != first.shape[1:]:
        return False
    return (count + len(picture)) * int(first[0].nbytes) <= most_mb * MB


def _joined(batch: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return batch[0] if len(batch) == 1 else np.concatenate(batch)


def save_fingerprints(
    store: Path, chunk: int, rows: pd.DataFrame, rows_files: list[Path], found: Fingerprints, settings: Fingerprinting
) -> None:
    """Write a chunk, padded to chunk_size rows, and the record of its inputs.

    rows: the columns of ``tables.ROW_COLUMNS``, those of all `rows_files` one after the other.
    """
    arrays: dict[str, NDArray[Any]] = {
        chunks.HASHES: _padded(found.hashes, settings.chunk_size),
        chunks.MEASURES: _padded(found.measures, settings.chunk_size),
        chunks.VALID: _padded(found.valid, settings.chunk_size),
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
    chunks.write_chunk(store, chunk, arrays, record)


def _padded(values: NDArray[Any], rows: int) -> NDArray[Any]:
    padded = np.zeros((rows, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return padded
