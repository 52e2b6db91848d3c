"""Stage: what chunks of images, of patches and of shards share: pictures are encoded, and a chunk is written."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke import versions
from unchoke.encoders.encoder import Encoder, Encodes
from unchoke.encoders.lanes import ONE_LANE, Lanes, side_by_side
from unchoke.hashing import sha256_bytes
from unchoke.images.decoders import PILLOW
from unchoke.machine.memory import meters_of
from unchoke.machine.releases import made_by
from unchoke.machine.suspects import reading_threads
from unchoke.names import MAX_PIXELS
from unchoke.store import chunks
from unchoke.store.origin import LOSS

_AT_ONCE = 2**21
"""Numbers whose rounding is looked at together, at least one feature or channel."""


@dataclass(frozen=True)
class Extraction:
    """How chunks are made; see ``chunk_size``, ``decoding`` and ``encoders`` in config/README.md."""

    chunk_size: int
    micro_batch: int
    max_pixels: int = MAX_PIXELS
    jpeg_draft: bool = False
    view: str = "identity"
    store: str = "float16"
    decoder: str = PILLOW

    @property
    def batches(self) -> int:
        """Micro-batches in a chunk."""
        return -(-self.chunk_size // self.micro_batch)

    def facts(self) -> dict[str, Any]:
        """The fields as records have them: `store` only where it is not float16, as before there was a choice.

        No bytes depend on the decoder; see ``images.jpegs.check_decoder``.
        """
        facts = {name: value for name, value in asdict(self).items() if name != "decoder"}
        return {name: value for name, value in facts.items() if (name, value) != ("store", "float16")}


@dataclass
class Chunk:
    """The features of one chunk, padded to chunk_size rows."""

    arrays: dict[str, NDArray[Any]]
    """Each pool's float16 or float32 (chunk_size, D), and ``valid``, bool (chunk_size,)."""
    invalid: dict[int, str]
    """Image id of what could not be read, with the reason."""
    seconds: dict[str, float]
    """Time of each stage: read and decode summed over threads, encode and total by the clock."""
    threads: int
    """How many read and decoded."""
    peak_mb: dict[str, float]
    """Most memory taken, MB: ``host`` resident, and ``card`` on a graphics card, CUDA's context included."""
    rounding: dict[str, dict[str, float]] = field(default_factory=dict)
    """As of ``Encoded``."""
    digests: dict[int, tuple[int, int, str]] = field(default_factory=dict)
    """By image id of what was read: size and time as the rows have them, and ``sources.digests.digest_of`` it."""
    decoder: dict[str, str] = field(default_factory=dict)
    """``images.decoders.decoder_release`` of what decoded the images."""


@dataclass(frozen=True)
class Picture:
    """What the encoder sees of a picture, or why there is nothing."""

    pixels_3HW: torch.Tensor | None
    """uint8."""
    reason: str = ""
    read_s: float = 0.0
    decode_s: float = 0.0
    digest: str = ""
    """Of the whole image as its source holds it, where this was read."""


@dataclass(frozen=True)
class Encoded:
    """The features of some pictures."""

    arrays: dict[str, NDArray[Any]]
    """(N, D) for each pool, (N, C, h, w) for each map, activation or picture, zeros where there is none."""
    valid_N: NDArray[np.bool_]
    reasons: dict[int, str]
    """Why a row is not valid, by its place; padding is not, for no reason."""
    rounding: dict[str, dict[str, float]]
    """By pool or map, what rounding costs: see ``rounding_of``."""
    seconds: dict[str, float]
    digests: dict[int, str]
    """Those of the pictures, by place."""


def make_chunk(
    rows: pd.DataFrame,
    pictures: Callable[[Callable[..., Iterator[Any]]], Iterable[Picture]],
    encoder: Encodes,
    settings: Extraction,
    threads: int,
    invalid: Callable[[dict[int, str]], dict[int, str]],
    lanes: Lanes = ONE_LANE,
) -> Chunk:
    """A chunk of what `pictures` reads, with its times and its most memory.

    rows: of the chunk, as its rows file has them. pictures: given a map over reading threads, the pictures in their
    order, at most chunk_size. threads: how many read
    and decode ahead of the encoder. invalid: from the reasons by place to those by image id. lanes: batches at once.
    """
    started = time.perf_counter()
    meters = meters_of(encoder.device)
    for meter in meters.values():
        meter.reset_peak()
    with reading_threads(threads) as each:
        size = settings.micro_batch, settings.chunk_size
        encoded = encode_pictures(pictures(each), encoder, *size, settings.store, lanes)
    seconds = {**encoded.seconds, "total": time.perf_counter() - started}
    peaks = {name: meter.peak_mb() for name, meter in meters.items()}
    arrays = {**encoded.arrays, chunks.VALID: encoded.valid_N}
    digests = _digests(rows, encoded.digests)
    return Chunk(arrays, invalid(encoded.reasons), seconds, threads, peaks, encoded.rounding, digests)


def _digests(rows: pd.DataFrame, digests: dict[int, str]) -> dict[int, tuple[int, int, str]]:
    """By image id the state of each image that was read. digests: by place in `rows`."""
    read = rows.iloc[list(digests)]
    states = zip(read["image_id"].tolist(), read["size_bytes"].tolist(), read["mtime_ns"].tolist(), strict=True)
    return {image: (size, time, digest) for (image, size, time), digest in zip(states, digests.values(), strict=True)}


def encode_pictures(
    pictures: Iterable[Picture],
    encoder: Encodes,
    micro_batch: int,
    rows: int,
    store: str = "float16",
    lanes: Lanes = ONE_LANE,
) -> Encoded:
    """Features of one picture or more, at most `rows`, padded to `rows`, as numbers of type `store`.

    Every batch has micro_batch images, blank ones in the place of what is missing, so that all have the same shape.
    lanes: batches at once; seconds of encoding are those of a lane.
    """
    seconds = dict.fromkeys(("read", "decode", "encode"), 0.0)
    valid_N, reasons = np.zeros(rows, bool), {}
    digests: dict[int, str] = {}

    def stacked() -> Iterator[torch.Tensor]:
        for start, batch in _batches(pictures, micro_batch):
            images = torch.zeros((micro_batch, 3, encoder.image_size, encoder.image_size), dtype=torch.uint8)
            for row, picture in enumerate(batch):
                seconds["read"] += picture.read_s
                seconds["decode"] += picture.decode_s
                digests.update({start + row: picture.digest} if picture.digest else {})
                if picture.pixels_3HW is None:
                    reasons[start + row] = picture.reason
                else:
                    images[row], valid_N[start + row] = picture.pixels_3HW, True
            yield images

    done = list(side_by_side(partial(_timed, encoder), stacked(), lanes))
    found, seconds["encode"] = [batch for batch, _ in done], sum(taken for _, taken in done) / lanes.at_once
    arrays = {name: _rounded([batch[name] for batch in found], rows, np.dtype(store)) for name in encoder.arrays}
    for row in _overflowing(arrays, valid_N):
        reasons[row], valid_N[row] = f"its features are not finite in {store}", False
    floats = [name for name, values in arrays.items() if values.dtype.kind == "f"]
    rounding = {name: rounding_of([batch[name] for batch in found], arrays[name], valid_N) for name in floats}
    for values in arrays.values():
        values[~valid_N] = 0
    return Encoded(arrays, valid_N, reasons, rounding, seconds, digests)


def _timed(encoder: Encodes, images: torch.Tensor) -> tuple[Mapping[str, NDArray[Any]], float]:
    before = time.perf_counter()
    return encoder.encode(images), time.perf_counter() - before


def _batches(pictures: Iterable[Picture], size: int) -> Iterator[tuple[int, list[Picture]]]:
    """Runs of `size` pictures, each with the place of its first."""
    batch: list[Picture] = []
    start = 0
    for picture in pictures:
        batch.append(picture)
        if len(batch) == size:
            yield start, batch
            start, batch = start + size, []
    if batch:
        yield start, batch


def _rounded(batches: list[NDArray[Any]], rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The batches one after the other as `dtype`, cut or padded with zeros to `rows`."""
    padded, behind = np.zeros((rows, *batches[0].shape[1:]), dtype), 0
    with np.errstate(over="ignore"):  # what overflows is marked invalid by the caller
        for batch in batches:
            part = batch[: rows - behind]
            padded[behind : behind + len(part)] = part
            behind += len(part)
    return padded


def _overflowing(arrays: dict[str, NDArray[Any]], valid: NDArray[np.bool_]) -> list[int]:
    floats = [values for values in arrays.values() if values.dtype.kind == "f"]
    finite = np.logical_and.reduce([[bool(np.isfinite(row).all()) for row in values] for values in floats])
    return [int(row) for row in np.flatnonzero(valid & ~finite)]


def rounding_of(
    batches: list[NDArray[np.float32]], rounded: NDArray[np.floating], valid_N: NDArray[np.bool_]
) -> dict[str, float]:
    """Sum of the squared rounding errors of the features (channels of a map) that may have become coarse, by number.

    Named are those whose errors have a root mean square above a hundredth of the deviation over these rows. Whether it
    is above a hundredth of that over the whole store too is for ``store.origin.judge_rounding`` to say.
    """
    valid, found = np.flatnonzero(valid_N), {}
    if not len(valid):
        return {}
    width = rounded.shape[1]
    step = max(1, _AT_ONCE // (len(valid) * math.prod(rounded.shape[2:])))
    for first in range(0, width, step):
        exact = np.concatenate([batch[:, first : first + step] for batch in batches])[valid].astype(np.float64)
        stored = rounded[valid, first : first + step].astype(np.float64)
        axes = (0, *range(2, exact.ndim))
        error_D = ((stored - exact) ** 2).mean(axes)
        count = exact.size // exact.shape[1]
        for place in np.flatnonzero(error_D > LOSS**2 * exact.var(axes)):
            found[str(first + place)] = float(f"{count * error_D[place]:.4g}")
    return found


def save_chunk(
    store: Path, chunk: int, rows_file: Path, features: Chunk, encoder: Encoder, settings: Extraction
) -> None:
    """Write a chunk and a record of what it was made from and with."""
    write_chunk(store, chunk, rows_file, features, chunk_settings(encoder, settings))


def write_chunk(store: Path, chunk: int, rows_file: Path, features: Chunk, settings: dict[str, Any]) -> None:
    """As ``save_chunk``, with what the record shall say of how the chunk was made."""
    chunks.write_chunk(store, chunk, features.arrays, chunk_record(rows_file, features, settings))


def chunk_record(rows_file: Path, features: Chunk, settings: dict[str, Any]) -> dict[str, Any]:
    """What a record says of how a chunk was made."""
    return {
        "made_by": {**made_by(settings.get("device", "cpu")), **features.decoder},
        "rows_sha256": sha256_bytes(rows_file.read_bytes()),
        "settings": settings,
        "invalid": [{"image_id": image_id, "reason": reason} for image_id, reason in features.invalid.items()],
        "digests": {str(image_id): list(entry) for image_id, entry in features.digests.items()},
        "images": int(features.arrays[chunks.VALID].sum()),
        "rounding_errors": features.rounding,
        "seconds": features.seconds,
        "threads": features.threads,
        "peak_mb": features.peak_mb,
    }


def chunk_settings(encoder: Encoder, settings: Extraction) -> dict[str, Any]:
    """All that the bytes of a chunk depend on beside its images."""
    return {
        "version": versions.EXTRACT,
        "model": encoder.card["model"],
        "weights_sha256": encoder.card["sha256"],
        "trained": encoder.card["trained"],
        "image_size": encoder.image_size,
        "data_config": encoder.card["data_config"],
        "pools": sorted(encoder.arrays),
        "precision": str(encoder.precision).removeprefix("torch.") if encoder.device.type == "cuda" else "float32",
        "device": encoder.device.type,
        **settings.facts(),
        **(encoder.cut.facts() if encoder.cut else {}),
        # Left out of what is eager, as before there was a choice.
        **({"compiled_threads": encoder.compiled_threads} if encoder.compiled else {}),
    }
