"""Our own pipelines: threads over files, a store of pixels, and pixels in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unchoke.encoders.encoder import Encoder
from unchoke.encoders.lanes import Lanes
from unchoke.encoders.pixels import Pixels
from unchoke.features.chunk import Chunk, Extraction, write_chunk
from unchoke.features.decoded import find_decoded
from unchoke.features.images import extract_chunk
from unchoke.features.patches import extract_patches
from unchoke.features.pixels import extract_pixels, pixel_settings
from unchoke.images.windows import forget_pictures
from unchoke.machine.suspects import reading_threads
from unchoke.names import PIXELS
from unchoke.pipelines.batches import encode_batches
from unchoke.pipelines.work import Features, Work
from unchoke.store.chunks import VALID

Epoch = Callable[[], Features]


@dataclass(frozen=True)
class Files:
    """``features.images.extract_chunk`` over files, or over rows of arrays."""

    changes: tuple[tuple[str, Any], ...] = ()
    """Fields of ``Extraction`` that differ from the defaults."""

    def settings(self, work: Work) -> Extraction:
        """Those of the work, with the changes."""
        return replace(work.settings, **dict(self.changes))

    def prepare(self, work: Work) -> None:
        """Nothing."""

    def files(self, work: Work) -> list[Path]:
        """Those that an epoch reads."""
        return work.source_files()

    @contextmanager
    def epochs(self, work: Work, encoder: Encoder) -> Iterator[Epoch]:
        """A function that does one epoch."""
        fixed = encoder, self.settings(work), work.threads, work.kind
        extract = partial(extract_chunk, lanes=work.lanes(encoder))
        if work.strides:
            extract = partial(_cut, lanes=work.lanes(encoder))

        def epoch() -> Features:
            forget_pictures()  # decoded ones: a warm epoch has the files in the page cache alone
            return _joined((extract(rows, work.root, *fixed) for _, rows in work.chunks()), work)

        yield epoch


def _cut(
    rows: Any, root: Path, encoder: Encoder, settings: Extraction, threads: int, _kind: str, lanes: Lanes
) -> Chunk:
    return extract_patches(rows, root, encoder, settings, threads, lanes=lanes)


@dataclass(frozen=True)
class PixelStore:
    """Pixels as ``decoding.input: pixels`` keeps them, read chunk by chunk."""

    def prepare(self, work: Work) -> None:
        """Write the store."""
        encoder = replace(work, device="cpu").encoder()
        source = Pixels(encoder.image_size, encoder.card["data_config"])
        settings = replace(work.settings, store="uint8")
        for chunk, rows in work.chunks():
            rows.to_csv(_rows_file(work, chunk), index=False)
            pixels = extract_pixels(rows, work.root, source, settings, work.threads, work.kind)
            facts = pixel_settings(source, settings)
            write_chunk(_store(work, f"b~{PIXELS}"), chunk, _rows_file(work, chunk), pixels, facts)

    def files(self, work: Work) -> list[Path]:
        """Those of the store."""
        return [file for file in work.scratch.glob(f"b~{PIXELS}*/**/*") if file.is_file()]

    @contextmanager
    def epochs(self, work: Work, encoder: Encoder) -> Iterator[Epoch]:
        """A function that does one epoch."""
        facts, extract = pixel_settings(encoder, work.settings), partial(extract_chunk, lanes=work.lanes(encoder))

        def encoded(chunk: int, rows: Any) -> Chunk:
            decoded = find_decoded(_store(work, "b"), chunk, [_rows_file(work, chunk)], 1, facts)
            assert decoded, "the store of pixels was written for this work"
            return extract(rows, work.root, encoder, work.settings, work.threads, work.kind, decoded)

        yield lambda: _joined((encoded(*part) for part in work.chunks()), work)


@dataclass(frozen=True)
class PixelsInMemory:
    """The first epoch reads files and keeps their pixels; the second has them at hand."""

    def prepare(self, work: Work) -> None:
        """Nothing."""

    def files(self, work: Work) -> list[Path]:
        """Those that the first epoch reads."""
        return work.source_files()

    @contextmanager
    def epochs(self, work: Work, encoder: Encoder) -> Iterator[Epoch]:
        """A function that does one epoch."""
        decode, size = work.decoder(encoder), work.settings.micro_batch
        kept: list[torch.Tensor | None] = []

        def batches() -> Iterator[tuple[list[int], list[torch.Tensor | None]]]:
            if not kept:
                with reading_threads(work.threads) as each:
                    for picture in each(decode.read, work.readers()):
                        kept.append(picture)
                        if len(kept) % size == 0:
                            yield list(range(len(kept) - size, len(kept))), kept[-size:]
                rest = len(kept) // size * size
                yield list(range(rest, len(kept))), kept[rest:]
                return
            for start in range(0, len(kept), size):
                part = kept[start : start + size]
                yield list(range(start, start + len(part))), part

        yield lambda: encode_batches(batches(), encoder, work)


def _rows_file(work: Work, chunk: int) -> Path:
    return work.scratch / f"rows-{chunk}.csv"


def _store(work: Work, name: str) -> Path:
    return work.scratch / f"{name}.zarr"


def _joined(made: Iterator[Chunk], work: Work) -> Features:
    """The features of all chunks, less the padding of the last one."""
    found = [(work.flat(chunk.arrays), chunk.arrays[VALID], work.shapes(chunk.arrays)) for chunk in made]
    values_ND, valid_N = (np.concatenate([part[place] for part in found])[: len(work.rows)] for place in (0, 1))
    return Features(values_ND, valid_N, found[0][2])
