"""Pipelines of others, set up as their documentation advises, with our decoder and transform: the same work."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from unchoke.encoders.encoder import Encoder
from unchoke.pipelines.batches import encode_batches
from unchoke.pipelines.ours import Epoch
from unchoke.pipelines.work import CutPatch, Decode, Work
from unchoke.sources.tar_shards import samples_of, write_shards

PREFETCH = 4
SHARDS = "shards"
WORKERS = "fork"
"""As PyTorch starts workers on Linux by default."""
Sample = tuple[int, torch.Tensor, bool]


class FileImages(Dataset[Sample]):
    """A map-style dataset of the files, or of patches of them."""

    def __init__(self, readers: list[Any], decode: Decode | CutPatch, side_px: int) -> None:
        self.readers, self.decode, self.side_px = readers, decode, side_px

    def __len__(self) -> int:
        return len(self.readers)

    def __getitem__(self, place: int) -> Sample:
        return _sample(place, self.decode.read(self.readers[place]), self.side_px)


def _sample(place: int, picture: torch.Tensor | None, side_px: int) -> Sample:
    """What default collation can stack, also of an image that cannot be read."""
    blank = torch.zeros((3, side_px, side_px), dtype=torch.uint8)
    return place, blank if picture is None else picture, picture is not None


def _loaded(loader: Any) -> Iterator[tuple[list[int], Any]]:
    """Batches of a loader as ``encode_batches`` wants them."""
    for places, images, good in loader:
        if bool(torch.as_tensor(good).all()):
            yield torch.as_tensor(places).tolist(), images
        else:
            kept = [image if fine else None for image, fine in zip(images, good, strict=True)]
            yield torch.as_tensor(places).tolist(), kept


@dataclass(frozen=True)
class TorchLoader:
    """PyTorch's DataLoader. Its tuning guide advises workers, pinned memory for a card, and persistent workers."""

    def prepare(self, work: Work) -> None:
        """Nothing."""

    def files(self, work: Work) -> list[Path]:
        """Those that an epoch reads."""
        return work.source_files()

    @contextmanager
    def epochs(self, work: Work, encoder: Encoder) -> Iterator[Epoch]:
        """A function that does one epoch; the workers start in the first one."""
        loader = DataLoader(
            FileImages(work.readers(), work.decoder(encoder), encoder.image_size),
            batch_size=work.settings.micro_batch,
            num_workers=work.threads,
            prefetch_factor=PREFETCH,
            pin_memory=encoder.device.type == "cuda",
            persistent_workers=True,
            multiprocessing_context=WORKERS,
        )
        yield lambda: encode_batches(_loaded(loader), encoder, work)


@dataclass(frozen=True)
class WebDataset:
    """Tar shards through WebLoader; workers make the batches, and each has shards of its own, as its docs advise."""

    def prepare(self, work: Work) -> None:
        """Write the shards, as ``write_shards.py`` does."""
        rows = ((place, path, "", "") for place, path in enumerate(work.paths))
        per_shard = max(1, math.ceil(len(work.rows) / (4 * work.threads)))
        write_shards(work.scratch / SHARDS, samples_of(work.kind, work.root, rows, {}), per_shard)

    def files(self, work: Work) -> list[Path]:
        """The shards."""
        return sorted((work.scratch / SHARDS).glob("*.tar"))

    @contextmanager
    def epochs(self, work: Work, encoder: Encoder) -> Iterator[Epoch]:
        """A function that does one epoch; the workers start in the first one."""
        import webdataset

        decode = _Member(Decode(encoder, work), encoder.image_size)
        shards = [str(file) for file in self.files(work)]
        dataset = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).map(decode)
        loader = webdataset.WebLoader(
            dataset.batched(work.settings.micro_batch, partial=True),
            batch_size=None,
            num_workers=min(work.threads, len(shards)),
            prefetch_factor=PREFETCH,
            pin_memory=encoder.device.type == "cuda",
            persistent_workers=True,
            multiprocessing_context=WORKERS,
        )
        yield lambda: encode_batches(_loaded(loader), encoder, work)


class _Member:
    """From a sample of a shard to place, picture and whether it could be read."""

    def __init__(self, decode: Decode, side_px: int) -> None:
        self.decode, self.side_px = decode, side_px

    def __call__(self, sample: dict[str, Any]) -> Sample:
        data = next(data for name, data in sample.items() if not name.startswith("__"))
        return _sample(int(sample["__key__"]), self.decode(data), self.side_px)


@dataclass(frozen=True)
class Spdl:
    """SPDL: reading and decoding are stages of their own over threads, as its guide advises."""

    def prepare(self, work: Work) -> None:
        """Nothing."""

    def files(self, work: Work) -> list[Path]:
        """Those that an epoch reads."""
        return work.source_files()

    @contextmanager
    def epochs(self, work: Work, encoder: Encoder) -> Iterator[Epoch]:
        """A function that does one epoch; a pipeline can be used once, so each epoch builds its own."""
        from spdl.pipeline import PipelineBuilder

        decode, readers = Decode(encoder, work), work.readers()

        def batches() -> Iterator[tuple[Sequence[int], Any]]:
            builder = PipelineBuilder().add_source(range(len(readers)))
            builder = builder.pipe(lambda place: (place, _bytes_of(readers[place])), concurrency=work.threads)
            builder = builder.pipe(lambda read: (read[0], _decoded(decode, read[1])), concurrency=work.threads)
            pipeline = (
                builder.aggregate(work.settings.micro_batch).add_sink(PREFETCH).build(num_threads=2 * work.threads)
            )
            with pipeline.auto_stop():
                for batch in pipeline:
                    places, pictures = zip(*batch, strict=True)
                    yield places, [picture[0] for picture in pictures]

        yield lambda: encode_batches(batches(), encoder, work)


def _bytes_of(reader: Callable[[], Any]) -> Any:
    from unchoke.errors import UnreadableImageError

    try:
        return reader()
    except UnreadableImageError:
        return b""


def _decoded(decode: Decode, data: Any) -> tuple[torch.Tensor | None]:
    """In a tuple, since SPDL leaves out what is None."""
    return (decode(data),)
