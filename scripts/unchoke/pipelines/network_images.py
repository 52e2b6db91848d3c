"""Where a training of a network has images from: sealed caches, as the workflow has them, or a loader over files."""

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from unchoke import versions
from unchoke.encoders.pixels import Pixels
from unchoke.errors import UnchokeError
from unchoke.features.chunk import save_chunk, write_chunk
from unchoke.features.images import extract_chunk
from unchoke.features.pixels import extract_pixels, pixel_settings
from unchoke.machine.suspects import reading_threads
from unchoke.names import ACTIVATIONS, PIXELS
from unchoke.networks.build import sees_pixels
from unchoke.networks.images import Images, StreamedImages
from unchoke.networks.member import order_of, places
from unchoke.networks.stored import StoredImages
from unchoke.pipelines.accuracy import usable_images
from unchoke.pipelines.network_work import EPOCHS, NetworkWork
from unchoke.pipelines.peers import PREFETCH, WORKERS, FileImages
from unchoke.pipelines.work import Decode
from unchoke.store import chunks
from unchoke.store.read import open_complete
from unchoke.training.batches import random_batches

STORE = "network"
READABLE = "readable.npy"
Batches = list[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Of each batch the places in its split, and in the sample."""


@dataclass(frozen=True)
class Seen:
    """The sample as a training reads it."""

    valid_N: NDArray[np.bool_]
    """Which images could be read."""
    classes: list[str]
    train: Images
    """Image ids are places in the sample."""
    val: Images
    val_again: Callable[[], Images]
    """Those of val once more, behind the last epoch."""
    image_size: int
    """px."""


class Source(Protocol):
    """How a training gets its images."""

    def prepare(self, work: NetworkWork) -> None:
        """Write what it reads, before anything is measured."""

    def images(self, work: NetworkWork) -> Seen:
        """The sample; the first epoch waits for it."""


@dataclass(frozen=True)
class Parts:
    """Places in the sample and labels of the images of train and val that can be used."""

    classes: list[str]
    train: tuple[NDArray[np.int64], NDArray[np.int64]]
    val: tuple[NDArray[np.int64], NDArray[np.int64]]


def parts_of(work: NetworkWork, valid_N: NDArray[np.bool_]) -> Parts:
    """UnchokeError without two classes in train and an image in val."""
    found = usable_images(work.labels, valid_N)
    if found is None:
        raise UnchokeError("A network needs two classes in train and an image in val.")
    train, val, classes = found
    place_of = {label: place for place, label in enumerate(classes)}

    def part_of(images: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return images.index.to_numpy(np.int64), np.array([place_of[label] for label in images["label"]])

    return Parts(classes, part_of(train), part_of(val))


@dataclass(frozen=True)
class Caches:
    """A sealed store, which the first epoch makes: of activations, or of pixels where the network reads those."""

    def prepare(self, work: NetworkWork) -> None:
        """Nothing."""

    def images(self, work: NetworkWork) -> Seen:
        """Those of the store, in memory as far as a training would have them there."""
        pixels, path = sees_pixels(work.network), work.scratch / f"{STORE}.zarr"
        for left in (path, chunks.record_file(path, 0).parent):
            shutil.rmtree(left, ignore_errors=True)
        size = _make_pixels(path, work) if pixels else _make_activations(path, work)
        record = chunks.read_record(path, 0)
        facts = {"version": versions.SEAL, "settings": record["settings"]}
        chunks.seal(path, n_images=len(work.rows), shapes=record["shapes"], facts=facts, origins={})
        store, array = open_complete(path), PIXELS if pixels else ACTIVATIONS
        valid_N = store.valid()
        parts = parts_of(work, valid_N)
        groups = (np.full(len(place_N), "", object) for place_N, _ in (parts.train, parts.val))
        train, val = (
            StoredImages((store,), array, *part, group)
            for part, group in zip((parts.train, parts.val), groups, strict=True)
        )
        return Seen(valid_N, parts.classes, train, val, lambda: val, size)


def _make_activations(store: Path, work: NetworkWork) -> int:
    encoder = work.encoder()
    for chunk, rows, rows_file in _chunks(work):
        made = extract_chunk(rows, work.root, encoder, work.settings, work.threads, work.kind)
        save_chunk(store, chunk, rows_file, made, encoder, work.settings)
    return encoder.image_size


def _make_pixels(store: Path, work: NetworkWork) -> int:
    source, settings = work.pixels(), replace(work.settings, store="uint8")
    for chunk, rows, rows_file in _chunks(work):
        made = extract_pixels(rows, work.root, source, settings, work.threads, work.kind)
        write_chunk(store, chunk, rows_file, made, pixel_settings(source, settings))
    return source.image_size


def _chunks(work: NetworkWork) -> Iterator[tuple[int, pd.DataFrame, Path]]:
    """Number, rows and the file of them of each chunk."""
    for chunk, rows in work.chunks():
        rows_file = work.scratch / f"{STORE}-{chunk}.csv"
        rows.to_csv(rows_file, index=False)
        yield chunk, rows, rows_file


@dataclass(frozen=True)
class Loader:
    """PyTorch's DataLoader over files. Its batch sampler has the order of the training, so that workers read ahead."""

    def prepare(self, work: NetworkWork) -> None:
        """Find out which images can be read, since a training leaves out the others."""
        decode = Decode(work.pixels(), work)
        with reading_threads(work.threads) as each:
            readable = [picture is not None for picture in each(decode.read, work.readers())]
        np.save(work.scratch / READABLE, np.array(readable))

    def images(self, work: NetworkWork) -> Seen:
        """Those that workers decode; they start with the first batch."""
        pixels, valid_N = work.pixels(), np.load(work.scratch / READABLE)
        parts = parts_of(work, valid_N)
        of_val = _in_turn(parts.val[0], work.network_batch)
        epochs = [[*_of_epoch(parts.train[0], work, epoch), *of_val] for epoch in range(EPOCHS)]
        stream = _stream([batch for epoch in epochs for batch in epoch], pixels, work)

        def val_again() -> Images:
            return StreamedImages(*parts.val, _stream(of_val, pixels, work))

        train, val = StreamedImages(*parts.train, stream), StreamedImages(*parts.val, stream)
        return Seen(valid_N, parts.classes, train, val, val_again, pixels.image_size)


def _of_epoch(sample_N: NDArray[np.int64], work: NetworkWork, epoch: int) -> Batches:
    """The batches of train as ``networks.member`` draws them."""
    settings = work.single
    given = len(sample_N), settings["batch_size"], order_of(settings["seeds"][0], epoch)
    found = [batch["place"] for batch in random_batches(places, *given, work.settings.chunk_size, math.inf)]
    return [(place_B, sample_N[place_B]) for place_B in found]


def _in_turn(sample_N: NDArray[np.int64], size: int) -> Batches:
    place_N = np.arange(len(sample_N))
    return [(place_N[start : start + size], sample_N[start : start + size]) for start in range(0, len(sample_N), size)]


def _stream(
    batches: Batches, pixels: Pixels, work: NetworkWork
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    loader: Any = DataLoader(
        FileImages(work.readers(), Decode(pixels, work), pixels.image_size),
        batch_sampler=[sample_B.tolist() for _, sample_B in batches],
        num_workers=work.threads,
        prefetch_factor=PREFETCH,
        multiprocessing_context=WORKERS,
    )
    for (place_B, _), (_, x, _) in zip(batches, loader, strict=True):
        yield place_B, x.numpy()
