"""Stage: features. One chunk of images becomes one chunk of every pool's array."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke import stores, versions
from unchoke.encoders import Encoder
from unchoke.hashing import sha256_bytes
from unchoke.images import UnreadableImageError, decode_image, read_image_file
from unchoke.memory import meters_of
from unchoke.views import view_of


@dataclass(frozen=True)
class Extraction:
    """How chunks are made; see ``chunk_size``, ``decoding`` and ``encoders`` in config/README.md."""

    chunk_size: int
    micro_batch: int
    max_pixels: int = 178_956_970
    jpeg_draft: bool = False
    view: str = "identity"


@dataclass
class Chunk:
    """The features of one chunk, padded to chunk_size rows."""

    arrays: dict[str, NDArray[Any]]
    """Each pool's float16 (chunk_size, D), and ``valid``, bool (chunk_size,)."""
    invalid: dict[int, str]
    """Image id of what could not be read, with the reason."""
    seconds: dict[str, float]
    """Time of each stage: read and decode summed over threads, encode and total by the clock."""
    threads: int
    """How many read and decoded."""
    peak_mb: dict[str, float]
    """Most memory taken, MB: ``host`` resident, and ``card`` on a graphics card, CUDA's context included."""


@dataclass(frozen=True)
class _Picture:
    pixels_3HW: torch.Tensor | None
    reason: str
    read_s: float
    decode_s: float


def extract_chunk(rows: pd.DataFrame, root: Path, encoder: Encoder, settings: Extraction, threads: int) -> Chunk:
    """Features of the images in `rows` (at most chunk_size), in their order.

    rows: the columns of ``tables.ROW_COLUMNS``; paths are below `root`. Threads decode ahead of the encoder. Every
    batch has micro_batch images, blank ones in the place of what is missing, so that all have the same shape.
    threads: how many decode.
    """
    chunk_size, micro_batch = settings.chunk_size, settings.micro_batch
    started = time.perf_counter()
    meters = meters_of(encoder.device)
    for meter in meters.values():
        meter.reset_peak()
    seconds = dict.fromkeys(("read", "decode", "encode", "total"), 0.0)
    valid = np.zeros(chunk_size, bool)
    invalid: dict[int, str] = {}
    pooled: list[dict[str, NDArray[np.float32]]] = []
    ids = rows["image_id"].tolist()
    draft_px = 2 * encoder.resized_px if settings.jpeg_draft else None
    read = partial(_read_picture, encoder.preprocess(), settings, draft_px)
    with ThreadPoolExecutor(threads) as pool:
        pictures = pool.map(read, [root / path for path in rows["path"]], ids)
        for start, batch in _batches(pictures, micro_batch):
            images = torch.zeros((micro_batch, 3, encoder.image_size, encoder.image_size), dtype=torch.uint8)
            for row, picture in enumerate(batch):
                seconds["read"] += picture.read_s
                seconds["decode"] += picture.decode_s
                if picture.pixels_3HW is None:
                    invalid[ids[start + row]] = picture.reason
                else:
                    images[row], valid[start + row] = picture.pixels_3HW, True
            before = time.perf_counter()
            pooled.append(encoder.encode(images))
            seconds["encode"] += time.perf_counter() - before
    arrays = {name: _to_float16([batch[name] for batch in pooled], chunk_size, valid) for name in encoder.pools}
    for row in _overflowing(arrays, valid):
        invalid[ids[row]], valid[row] = "its features are not finite in float16", False
    for values in arrays.values():
        values[~valid] = 0
    seconds["total"] = time.perf_counter() - started
    peaks = {name: meter.peak_mb() for name, meter in meters.items()}
    return Chunk({**arrays, stores.VALID: valid}, invalid, seconds, threads, peaks)


def _read_picture(
    prepare: Callable[[Any], torch.Tensor], settings: Extraction, draft_px: int | None, path: Path, image_id: int
) -> _Picture:
    started = read = time.perf_counter()
    try:
        data = read_image_file(path)
        read = time.perf_counter()
        image = decode_image(data, max_pixels=settings.max_pixels, draft_px=draft_px)
        pixels = prepare(view_of(settings.view, image, image_id))
    except UnreadableImageError as error:
        return _Picture(None, str(error), read - started, time.perf_counter() - read)
    return _Picture(pixels, "", read - started, time.perf_counter() - read)


def _batches(pictures: Iterator[_Picture], size: int) -> Iterator[tuple[int, list[_Picture]]]:
    """Runs of `size` pictures, each with the place of its first."""
    batch: list[_Picture] = []
    start = 0
    for picture in pictures:
        batch.append(picture)
        if len(batch) == size:
            yield start, batch
            start, batch = start + size, []
    if batch:
        yield start, batch


def _to_float16(batches: list[NDArray[np.float32]], chunk_size: int, valid: NDArray[np.bool_]) -> NDArray[np.float16]:
    """The batches one after the other, cut or padded with zeros to chunk_size rows."""
    values = np.concatenate(batches)[:chunk_size]
    padded = np.zeros((chunk_size, values.shape[1]), np.float16)
    with np.errstate(over="ignore"):  # what overflows is marked invalid by the caller
        padded[: len(values)] = values
    return padded


def _overflowing(arrays: dict[str, NDArray[np.float16]], valid: NDArray[np.bool_]) -> list[int]:
    finite = np.logical_and.reduce([np.isfinite(values).all(1) for values in arrays.values()])
    return [int(row) for row in np.flatnonzero(valid & ~finite)]


def save_chunk(
    store: Path, chunk: int, rows_file: Path, features: Chunk, encoder: Encoder, settings: Extraction
) -> None:
    """Write a chunk and a record of what it was made from and with."""
    record = {
        "rows_sha256": sha256_bytes(rows_file.read_bytes()),
        "settings": chunk_settings(encoder, settings),
        "invalid": [{"image_id": image_id, "reason": reason} for image_id, reason in features.invalid.items()],
        "images": int(features.arrays[stores.VALID].sum()),
        "seconds": features.seconds,
        "threads": features.threads,
        "peak_mb": features.peak_mb,
    }
    stores.write_chunk(store, chunk, features.arrays, record)


def chunk_settings(encoder: Encoder, settings: Extraction) -> dict[str, Any]:
    """All that the bytes of a chunk depend on beside its images."""
    return {
        "version": versions.EXTRACT,
        "model": encoder.card["model"],
        "weights_sha256": encoder.card["sha256"],
        "trained": encoder.card["trained"],
        "image_size": encoder.image_size,
        "data_config": encoder.card["data_config"],
        "pools": sorted(encoder.pools),
        "precision": str(encoder.precision).removeprefix("torch.") if encoder.device.type == "cuda" else "float32",
        "device": encoder.device.type,
        **asdict(settings),
    }
