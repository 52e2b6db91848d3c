"""Stage: features. One chunk of images becomes one chunk of every pool's array."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image

from unchoke.encoders.encoder import SeesImages
from unchoke.encoders.lanes import ONE_LANE, Lanes
from unchoke.errors import UnreadableImageError
from unchoke.features.chunk import Chunk, Extraction, Picture, make_chunk
from unchoke.features.decoded import Decoded
from unchoke.images.decode import picture_of
from unchoke.images.decoders import decoder_release
from unchoke.images.jpegs import check_decoder
from unchoke.images.steps import DECODE, PLAIN, READ, Steps
from unchoke.images.views import view_of
from unchoke.machine.suspects import in_flight
from unchoke.sources.digests import digest_of
from unchoke.sources.source import Reader, open_images


def extract_chunk(
    rows: pd.DataFrame,
    root: Path,
    encoder: SeesImages,
    settings: Extraction,
    threads: int,
    kind: str = "folder",
    decoded: Decoded | None = None,
    steps: Steps = PLAIN,
    lanes: Lanes = ONE_LANE,
) -> Chunk:
    """Features of the images in `rows` (at most chunk_size), in their order.

    rows: the columns of ``tables.ROW_COLUMNS``; paths are below `root`. Threads decode ahead of the encoder.
    threads: how many decode. kind: of the source that the images are read from. decoded: their pixels, as this encoder
    sees them, where they are there; then no file is read. steps: what reads and decodes; the encoder has its own.
    lanes: batches that are encoded at once. UnchokeError where the decoder is missing.
    """
    check_decoder(settings.decoder)
    ids, paths = rows["image_id"].tolist(), rows["path"].tolist()
    draft_px = 2 * encoder.resized_px if settings.jpeg_draft else None
    decode = partial(picture_of, max_pixels=settings.max_pixels, draft_px=draft_px, decoder=settings.decoder)
    read = partial(_read_picture, decode, encoder.preprocess(), settings.view, steps)
    chunk = make_chunk(
        rows,
        lambda each: decoded.pictures(rows) if decoded else each(read, open_images(kind, root, paths), ids, paths),
        encoder,
        settings,
        threads,
        lambda reasons: {ids[row]: reason for row, reason in reasons.items()},
        lanes,
    )
    return chunk if decoded else replace(chunk, decoder=decoder_release(settings.decoder))


def _read_picture(
    decode: Callable[..., Image.Image],
    prepare: Callable[[Any], torch.Tensor],
    view: str,
    steps: Steps,
    reader: Reader,
    image_id: int,
    path: str,
) -> Picture:
    started = read = time.perf_counter()
    digest = ""
    try:
        with in_flight(path):
            steps.begin(path)
            data = steps.take(READ, reader)
            digest = digest_of(data)
            read = time.perf_counter()
            image = steps.take(DECODE, decode, data)
            pixels = prepare(view_of(view, image, image_id))
    except UnreadableImageError as error:
        return Picture(None, str(error), read - started, time.perf_counter() - read, digest)
    return Picture(pixels, "", read - started, time.perf_counter() - read, digest)
