"""What is profiled: a sample of whole images, or of the patches of some images."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from unchoke.encoders.encoder import Encoder, Encodes, SeesImages
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.features.chunk import Chunk, Extraction
from unchoke.features.images import extract_chunk
from unchoke.features.patches import extract_patches, patch_name
from unchoke.images.grid import Grid
from unchoke.images.steps import PLAIN, Steps
from unchoke.images.windows import forget_pictures, image_size
from unchoke.names import LEAST_PROFILED

PIXEL_BYTES = 3
ROOM_BYTES = 2**30
"""For the decoded images that patches are cut from, where there are patches enough."""
_NO_STATE = {"size_bytes": 0, "mtime_ns": 0}


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    seconds: float
    """About how long; at least three rounds are made."""
    images: int
    """To draw, at most; or patches."""
    seed: int


class Sample(Protocol):
    """Pictures in their order, as chunks are made of them."""

    @property
    def names(self) -> list[str]:
        """Of every picture."""

    @property
    def threads(self) -> int:
        """That read and decode."""

    @property
    def unit(self) -> str:
        """What its pictures are, in the plural."""

    def only(self, names: Sequence[str]) -> "Sample":
        """The pictures of these names."""

    def chunk(self, first: int, encoder: Any, settings: Extraction, threads: int, steps: Steps) -> Chunk:
        """That of the pictures from `first` on; what could not be read by its place in it."""

    def forget(self) -> None:
        """Drop the files from all caches that this process can empty, so that they are read from the disk."""


@dataclass(frozen=True)
class Images:
    """Whole images."""

    kind: str
    root: Path
    paths: list[str]
    threads: int
    unit: str = "images"

    @property
    def names(self) -> list[str]:
        return self.paths

    def only(self, names: Sequence[str]) -> "Images":
        return replace(self, paths=list(names))

    def chunk(self, first: int, encoder: SeesImages, settings: Extraction, threads: int, steps: Steps = PLAIN) -> Chunk:
        paths = self.paths[first : first + settings.chunk_size]
        rows = pd.DataFrame({"image_id": range(len(paths)), "path": paths, **_NO_STATE})
        return extract_chunk(rows, self.root, encoder, settings, threads, self.kind, steps=steps)

    def forget(self) -> None:
        _forget_files(self.root, self.paths)


@dataclass(frozen=True)
class Patches:
    """Patches of the size that the encoder sees."""

    root: Path
    rows: pd.DataFrame
    """``path``, ``y0`` and ``x0`` of each, px."""
    threads: int
    unit: str = "patches"

    @property
    def names(self) -> list[str]:
        return [patch_name(*row) for row in self.rows[["path", "y0", "x0"]].itertuples(index=False)]

    def only(self, names: Sequence[str]) -> "Patches":
        wanted = set(names)
        return replace(self, rows=self.rows[[name in wanted for name in self.names]].reset_index(drop=True))

    def chunk(self, first: int, encoder: Encodes, settings: Extraction, threads: int, steps: Steps = PLAIN) -> Chunk:
        part = self.rows.iloc[first : first + settings.chunk_size]
        rows = part.assign(image_id=range(len(part)), **_NO_STATE).reset_index(drop=True)
        return extract_patches(rows, self.root, encoder, settings, threads, steps)

    def forget(self) -> None:
        forget_pictures()
        _forget_files(self.root, self.rows["path"].unique().tolist())


def draw_images(kind: str, root: Path, paths: Sequence[str], threads: int, effort: Effort) -> Images:
    """At most `effort.images` of the paths, in their order; UnchokeError where there are too few to measure."""
    refuse_few(len(paths), "images")
    places = _order(len(paths), effort)[: effort.images]
    return Images(kind, root, [paths[place] for place in sorted(places)], threads)


def draw_patches(
    root: Path, paths: Sequence[str], size: int, overlap: int, threads: int, effort: Effort
) -> tuple[Patches, dict[str, str]]:
    """At most `effort.images` patches of whole images, in their order, and why images could not be opened, by path.

    size, overlap: of patches, px. UnchokeError where there are too few.
    """
    grids: dict[int, Grid] = {}
    unreadable: dict[str, str] = {}
    count = decoded = 0
    for place in _order(len(paths), effort):
        if count >= effort.images or (count >= LEAST_PROFILED and decoded > ROOM_BYTES):
            break
        try:
            grid = Grid(*image_size(root / paths[place]), size, overlap)
        except UnreadableImageError as error:
            unreadable[paths[place]] = str(error)
            continue
        grids[place] = grid
        count, decoded = count + grid.count, decoded + PIXEL_BYTES * grid.height * grid.width
    cut = [(paths[place], *grids[place].patch(n)[:2]) for place in sorted(grids) for n in range(grids[place].count)]
    refuse_few(len(cut), f"patches of {len(grids)} images that can be read")
    return Patches(root, pd.DataFrame(cut[: effort.images], columns=["path", "y0", "x0"]), threads), unreadable


def refuse_few(count: int, what: str) -> None:
    """UnchokeError where `count` of something are too few to measure."""
    if count < LEAST_PROFILED:
        raise UnchokeError(
            "There are too few images to measure.",
            found=f"{count} {what}",
            expected=f"at least {LEAST_PROFILED} that can be read",
            do="add images that can be read; unreadable ones stand in quarantine.csv",
        )


def run_sample(
    sample: Sample, encoder: Encoder, settings: Extraction, steps: Steps, threads: int | None = None
) -> tuple[list[Chunk], dict[str, str]]:
    """Every chunk of the sample, and the reasons of unreadable pictures by name. threads: None: the sample's."""
    watched, chunks = replace(encoder, steps=steps), []
    found: dict[str, str] = {}
    for first in range(0, len(sample.names), settings.chunk_size):
        chunk = sample.chunk(first, watched, settings, sample.threads if threads is None else threads, steps)
        found |= {sample.names[first + place]: reason for place, reason in chunk.invalid.items()}
        chunks.append(chunk)
    return chunks, found


def _order(count: int, effort: Effort) -> list[int]:
    return [int(place) for place in np.random.default_rng(effort.seed).permutation(count)]


def _forget_files(root: Path, paths: Sequence[str]) -> None:
    for path in paths:
        with suppress(OSError, ValueError, AttributeError):  # rows of arrays are no files; not every system can
            handle = os.open(root / path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)
