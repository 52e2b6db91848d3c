"""Pictures that one job has decoded for all: what reads a store of pixels in the place of files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.features.chunk import Picture
from unchoke.files import files_sha256
from unchoke.names import PIXELS
from unchoke.store import chunks


@dataclass(frozen=True)
class Decoded:
    """The pixels of one chunk, or shard, of a store, which is as it was written."""

    name: str
    """Of the store."""
    first: int
    """image_id of the first row."""
    pixels_N3HW: NDArray[np.uint8]
    valid_N: NDArray[np.bool_]
    reasons: dict[int, str]
    """Why an image could not be read, by its image_id."""
    digests: dict[int, str]
    """Of the images that were read, by image_id."""

    def pictures(self, rows: pd.DataFrame) -> Iterator[Picture]:
        """The pictures of some of the rows, as the files gave them."""
        for image_id in rows["image_id"].tolist():
            row = image_id - self.first
            digest = self.digests.get(image_id, "")
            if self.valid_N[row]:
                yield Picture(torch.from_numpy(self.pixels_N3HW[row]), digest=digest)
            else:
                yield Picture(None, self.reasons[image_id], digest=digest)


def find_decoded(
    store: Path, chunk: int, rows_files: Sequence[Path], chunks_per_shard: int, settings: dict[str, Any]
) -> Decoded | None:
    """The pixels that a chunk, or shard, of `store` can be made from: in another store of its folder; None for none.

    rows_files: of the chunk. settings: ``pixels.pixel_settings`` of the encoder. All that pixels depend on must
    be equal: the listing of the images, their transform, the limits of decoding, the cut into chunks.
    """
    if settings["view"] != "identity":
        return None  # a flip before the crop is another one than behind it, where the crop is not in the middle
    expected = {**settings, "rows_files": chunks_per_shard} if chunks_per_shard > 1 else settings
    for other in sorted(store.parent.glob(f"*{PIXELS}*.chunks/{chunk}.json")):
        found = _read(other.parent.with_suffix(".zarr"), chunk, files_sha256(rows_files), expected)
        if found:
            return found
    return None


def _read(store: Path, chunk: int, rows_sha256: str, settings: dict[str, Any]) -> Decoded | None:
    """The pixels of a chunk; None where they are others, or not there yet."""
    try:
        record = chunks.read_record(store, chunk)
        if record["settings"] != settings or record["rows_sha256"] != rows_sha256:
            return None
        arrays = chunks.read_chunk(store, chunk)
    except UnchokeError as error:
        print(f"note: files are read, since pixels cannot be: {str(error).splitlines()[0]}", flush=True)
        return None
    reasons = {entry["image_id"]: entry["reason"] for entry in record["invalid"]}
    first = chunk * len(arrays[chunks.VALID])
    digests = {int(image_id): digest for image_id, (*_, digest) in record.get("digests", {}).items()}
    return Decoded(store.stem, first, arrays[PIXELS], arrays[chunks.VALID], reasons, digests)
