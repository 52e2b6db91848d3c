"""Stage: feature maps of patches. One chunk of patches becomes one chunk of the array of every stride."""

import time
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from unchoke.encoders.encoder import Encodes
from unchoke.encoders.lanes import ONE_LANE, Lanes
from unchoke.errors import UnreadableImageError
from unchoke.features.chunk import Chunk, Extraction, Picture, make_chunk
from unchoke.images.steps import CUT, OPEN, PLAIN, Steps
from unchoke.images.windows import open_image, read_patch
from unchoke.machine.suspects import in_flight
from unchoke.manifest.quarantine import invalid_patches
from unchoke.sources.digests import digest_of_file


def extract_patches(
    rows: pd.DataFrame,
    root: Path,
    encoder: Encodes,
    settings: Extraction,
    threads: int,
    steps: Steps = PLAIN,
    lanes: Lanes = ONE_LANE,
) -> Chunk:
    """Feature maps of the patches in `rows` (at most chunk_size), in their order.

    rows: the columns of ``tables.PATCH_ROW_COLUMNS``; paths are below `root`. Patches are of the size that the encoder
    sees, and reflected beyond the image's border. threads: how many read. steps: what opens files and cuts.
    lanes: batches that are encoded at once.
    """
    read = partial(_read_picture, root, encoder.image_size, settings.max_pixels, steps)
    return make_chunk(
        rows,
        lambda each: each(read, rows["path"], rows["y0"], rows["x0"]),
        encoder,
        settings,
        threads,
        partial(invalid_patches, rows),
        lanes,
    )


def patch_name(path: str, y0: int, x0: int) -> str:
    """How a profile names a patch; y0, x0: px."""
    return f"{path} at {y0}, {x0}"


def _read_picture(root: Path, size: int, max_pixels: int, steps: Steps, path: str, y0: int, x0: int) -> Picture:
    """A patch. Where the file allows it, only its window is decoded, and reading counts as decoding."""
    started = time.perf_counter()
    try:
        with in_flight(path):
            steps.begin(patch_name(path, y0, x0))
            windows = steps.take(OPEN, open_image, root / path, max_pixels)
            pixels_HW3 = steps.take(CUT, read_patch, windows, y0, x0, size)
            digest = digest_of_file(root / path) if (y0, x0) == (0, 0) else ""  # once an image
    except UnreadableImageError as error:
        return Picture(None, str(error), 0.0, time.perf_counter() - started)
    pixels_3HW = torch.from_numpy(pixels_HW3).permute(2, 0, 1)
    return Picture(pixels_3HW, "", 0.0, time.perf_counter() - started, digest)
