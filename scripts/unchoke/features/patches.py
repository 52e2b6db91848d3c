"""Stage: feature maps of patches. One chunk of patches becomes one chunk of the array of every stride."""

import time
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from unchoke.encoders.encoder import Encodes
from unchoke.errors import UnreadableImageError
from unchoke.features.images import Chunk, Extraction, Picture, encode_pictures
from unchoke.images.windows import open_image, read_patch
from unchoke.machine.memory import meters_of
from unchoke.machine.suspects import in_flight, reading_threads
from unchoke.manifest.quarantine import invalid_patches
from unchoke.store import chunks


def extract_patches(rows: pd.DataFrame, root: Path, encoder: Encodes, settings: Extraction, threads: int) -> Chunk:
    """Feature maps of the patches in `rows` (at most chunk_size), in their order.

    rows: the columns of ``tables.PATCH_ROW_COLUMNS``; paths are below `root`. Patches are of the size that the encoder
    sees, and reflected beyond the image's border. threads: how many read.
    """
    started = time.perf_counter()
    meters = meters_of(encoder.device)
    for meter in meters.values():
        meter.reset_peak()
    read = partial(_read_picture, root, encoder.image_size, settings.max_pixels)
    with reading_threads(threads) as each:
        pictures = each(read, rows["path"], rows["y0"], rows["x0"])
        encoded = encode_pictures(pictures, encoder, settings.micro_batch, settings.chunk_size, settings.store)
    invalid = invalid_patches(rows, encoded.reasons)
    seconds = {**encoded.seconds, "total": time.perf_counter() - started}
    peaks = {name: meter.peak_mb() for name, meter in meters.items()}
    return Chunk({**encoded.arrays, chunks.VALID: encoded.valid_N}, invalid, seconds, threads, peaks, encoded.rounding)


def _read_picture(root: Path, size: int, max_pixels: int, path: str, y0: int, x0: int) -> Picture:
    """A patch; decoding is by windows where the file allows it, so that reading is part of it."""
    started = time.perf_counter()
    try:
        with in_flight(path):
            pixels_HW3 = read_patch(open_image(root / path, max_pixels), y0, x0, size)
    except UnreadableImageError as error:
        return Picture(None, str(error), 0.0, time.perf_counter() - started)
    pixels_3HW = torch.from_numpy(pixels_HW3).permute(2, 0, 1)
    return Picture(pixels_3HW, "", 0.0, time.perf_counter() - started)
