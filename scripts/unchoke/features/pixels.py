"""Stage: pixels. One chunk of images becomes one chunk of pictures as an encoder sees them, for all that read them."""

from pathlib import Path
from typing import Any

import pandas as pd

from unchoke import versions
from unchoke.encoders.encoder import Encoder
from unchoke.encoders.pixels import Pixels, transform_facts
from unchoke.features.chunk import Chunk, Extraction
from unchoke.features.images import extract_chunk
from unchoke.names import PIXELS

OF_THE_ENCODER = ("micro_batch", "store")
"""What pixels do not depend on."""


def extract_pixels(
    rows: pd.DataFrame, root: Path, source: Pixels, settings: Extraction, threads: int, kind: str = "folder"
) -> Chunk:
    """Pictures of the images in `rows`, uint8 (chunk_size, 3, H, W); arguments as of ``images.extract_chunk``."""
    return extract_chunk(rows, root, source, settings, threads, kind)


def pixel_settings(source: Pixels | Encoder, settings: Extraction) -> dict[str, Any]:
    """All that the bytes of a chunk of pixels depend on beside its images; of an encoder, those that it could read."""
    data_config = source.card["data_config"] if isinstance(source, Encoder) else source.data_config
    return {
        "version": versions.PIXELS,
        "transform": transform_facts(source.image_size, data_config),
        "pools": [PIXELS],
        **{name: value for name, value in settings.facts().items() if name not in OF_THE_ENCODER},
    }
