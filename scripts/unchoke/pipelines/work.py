"""What every pipeline is given: the same images, the same encoder, the same limits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.encoders.encoder import Encoder, SeesImages, load_encoder
from unchoke.encoders.lanes import ONE_LANE, Lanes, lanes_within
from unchoke.encoders.ways import ON
from unchoke.errors import UnreadableImageError
from unchoke.features.chunk import Extraction
from unchoke.images.decode import picture_of
from unchoke.images.windows import open_image, read_patch
from unchoke.names import map_name
from unchoke.sources.source import Reader, open_images, reads_files

JPEG = (".jpg", ".jpeg")
OFF = "off"


class Features(NamedTuple):
    """What an epoch gives, in the order of the sample."""

    values_ND: NDArray[np.floating]
    """float32; of patches in the numbers of the store, all maps of a patch in a row."""
    valid_N: NDArray[np.bool_]
    shapes: tuple[tuple[int, ...], ...] = ()
    """Of each map in a row."""


@dataclass(frozen=True)
class Work:
    """A sample of images and how they are to be encoded; it is sent to the process that does it."""

    kind: str
    root: Path
    rows: pd.DataFrame
    """The columns of ``tables.ROW_COLUMNS``; image_id is the place in the sample."""
    weights: Path
    card: Path
    image_size: int | None
    pool: str
    device: str
    precision: str
    settings: Extraction
    threads: int
    """That decode, and that the encoder has on a CPU; of other pipelines the number of workers."""
    scratch: Path
    """Folder for what a pipeline writes before its epochs."""
    encoders: int = 1
    """Of the config, that see images of this size, so that they can share a store of pixels."""
    compiled: bool = False
    """Whether torch.compile makes the encoder's code."""
    most_lanes: int = 1
    """Micro-batches of the planned size that memory holds at once on a processor; see ``encoders.lanes``."""
    labels: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Label, split and group of each image, for pipelines that train."""

    strides: tuple[int, ...] = ()
    """Of the maps that the encoder gives of patches, px; none: features of whole images. Rows then are of patches, the
    columns of ``tables.PATCH_ROW_COLUMNS``."""

    @property
    def names(self) -> list[str]:
        """Of the features: the maps of patches, or the pool."""
        return [map_name(stride) for stride in self.strides] or [self.pool]

    def flat(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.floating]:
        """Features (N, D) of what an encoder or a chunk gives, as ``Features`` has them."""
        parts = [np.asarray(arrays[name]).reshape(len(arrays[name]), -1) for name in self.names]
        return np.concatenate(parts, 1).astype(self.settings.store if self.strides else np.float32)

    def shapes(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[tuple[int, ...], ...]:
        """Of each map of a patch, or of the features of an image."""
        return tuple(arrays[name].shape[1:] for name in self.names)

    @property
    def paths(self) -> list[str]:
        """Of the images, below the root."""
        paths: list[str] = self.rows["path"].tolist()
        return paths

    @property
    def has_files(self) -> bool:
        """Whether each image is a file of its own."""
        return reads_files(self.kind)

    @property
    def has_jpegs(self) -> bool:
        """Whether any image is a JPEG, by the ending of its name."""
        return any(path.lower().endswith(JPEG) for path in self.paths)

    def chunks(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """Number and rows of each chunk."""
        size = self.settings.chunk_size
        for chunk, start in enumerate(range(0, len(self.rows), size)):
            yield chunk, self.rows.iloc[start : start + size]

    @property
    def arithmetic(self) -> str:
        """The precision in which the encoder computes."""
        return self.precision if self.device == "cuda" else "float32"

    def with_keys(self, keys: Mapping[str, Any]) -> "Work":
        """The same with other keys of the encoder in the config: `micro_batch`, `precision`, `compile`."""
        settings = replace(self.settings, micro_batch=keys.get("micro_batch", self.settings.micro_batch))
        compiled = self.compiled if "compile" not in keys else keys["compile"] == ON
        most = 1 + (self.most_lanes - 1) * self.settings.micro_batch // settings.micro_batch
        own: dict[str, Any] = {"settings": settings, "compiled": compiled, "most_lanes": most}
        return replace(self, precision=keys.get("precision", self.precision), **own)

    def keys(self) -> dict[str, Any]:
        """The keys of the encoder in the config that choose how it computes here."""
        compiling = ON if self.compiled else OFF
        return {"micro_batch": self.settings.micro_batch, "precision": self.precision, "compile": compiling}

    def lanes(self, encoder: Encoder) -> Lanes:
        """The lanes of a chunk, as the command extract_chunk has them."""
        if encoder.device.type != "cpu" or self.settings.batches == 1:
            return ONE_LANE
        return lanes_within(self.most_lanes, encoder, self.settings.batches, self.threads)

    def encoder(self) -> Encoder:
        """The encoder on its device, eager."""
        device = torch.device(self.device)
        return load_encoder(self.weights, self.card, self.image_size, self._pools, device, self.precision, self.strides)

    @property
    def _pools(self) -> list[str]:
        return [] if self.strides else [self.pool]

    def source_files(self) -> list[Path]:
        """The files that hold the images: their own, or everything around the rows of arrays and members of tars."""
        if self.has_files:
            return [self.root / path for path in dict.fromkeys(self.paths)]
        return [file for file in self.root.rglob("*") if file.is_file()] if self.root.is_dir() else [self.root]

    def readers(self) -> list[Any]:
        """What ``decoder`` reads: a reader for each image, or path and corner of each patch."""
        if self.strides:
            return list(self.rows[["path", "y0", "x0"]].itertuples(index=False, name=None))
        return open_images(self.kind, self.root, self.paths)

    def decoder(self, encoder: Encoder) -> "Decode | CutPatch":
        """What makes pictures of ``readers``."""
        return CutPatch(encoder, self) if self.strides else Decode(encoder, self)


class CutPatch:
    """From path and corner of a patch to its pixels; a worker process of a peer is sent it too."""

    def __init__(self, encoder: Encoder, work: Work) -> None:
        self._root, self._size_px, self._max_pixels = work.root, encoder.image_size, work.settings.max_pixels

    def read(self, place: tuple[str, int, int]) -> torch.Tensor | None:
        """uint8 (3, S, S); None where the image cannot be read."""
        path, y0, x0 = place
        try:
            pixels_SS3 = read_patch(open_image(self._root / path, self._max_pixels), y0, x0, self._size_px)
        except UnreadableImageError:
            return None
        return torch.from_numpy(pixels_SS3).permute(2, 0, 1).contiguous()


class Decode:
    """From the bytes of a file to what the encoder sees; a worker process of a peer is sent it too."""

    def __init__(self, encoder: SeesImages, work: Work) -> None:
        self._prepare = encoder.preprocess()
        self._picture = partial(picture_of, max_pixels=work.settings.max_pixels)

    def __call__(self, data: bytes | NDArray[np.uint8]) -> torch.Tensor | None:
        """uint8 (3, H, W); None for an image that cannot be read."""
        try:
            return self._prepare(self._picture(data))
        except UnreadableImageError:
            return None

    def read(self, reader: Reader) -> torch.Tensor | None:
        """The same, of what a reader gives."""
        try:
            return self(reader())
        except UnreadableImageError:
            return None
