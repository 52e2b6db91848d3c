"""The pipelines that are compared, in the order of the table. A further one is one entry of ``PIPELINES``."""

import importlib.util
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from unchoke.encoders.encoder import Encoder
from unchoke.images.decoders import PILLOW, SIMPLEJPEG
from unchoke.names import PIXELS
from unchoke.pipelines.ours import Epoch, Files, PixelsInMemory, PixelStore
from unchoke.pipelines.peers import PREFETCH, Spdl, TorchLoader, WebDataset
from unchoke.pipelines.table import EXTRACTION
from unchoke.pipelines.work import Work


class Way(Protocol):
    """How a pipeline brings images to the encoder."""

    def prepare(self, work: Work) -> None:
        """Write what epochs read, below ``work.scratch``."""

    def files(self, work: Work) -> list[Path]:
        """What an epoch reads."""

    def epochs(self, work: Work, encoder: Encoder) -> AbstractContextManager[Epoch]:
        """A function that does one epoch; what it needs lasts as long as the context."""


Need = Callable[[Work], str]
"""Why a pipeline cannot run on this work; empty where it can."""


def files_alone(work: Work) -> str:
    return "" if work.has_files else "the images are rows of arrays or members of tar files, not files of their own"


def whole_images(work: Work) -> str:
    return "it is for whole images; these are patches" if work.strides else ""


def _jpegs(work: Work) -> str:
    return "" if work.has_jpegs else "no image of the sample is a JPEG"


def _dali(work: Work) -> str:
    if work.device != "cuda":
        return "NVIDIA DALI decodes on an NVIDIA card, and none is used here"
    return "this comparison has no pipeline for NVIDIA DALI yet"


@dataclass(frozen=True)
class Pipeline:
    """One row of the table."""

    name: str
    settings: str
    """How it is set up, with {threads}, {batch} and {prefetch} open."""
    way: Way = field(default_factory=Files)
    decoding: dict[str, Any] | None = None
    """The keys of ``decoding`` that choose it; None: it is no setting."""
    encoder: tuple[tuple[str, Any], ...] = ()
    """Keys of the encoder in the config that differ from the plan's batch, the config's precision, and eager code."""
    package: str = ""
    """Python package that it needs."""
    needs: tuple[Need, ...] = ()
    task: str = EXTRACTION
    compared: str = "slower_s"
    """The seconds of ``table.Round`` by which it is compared with the default."""

    def refusal(self, work: Work) -> str:
        """Why it cannot run here; empty where it can."""
        reasons = (need(work) for need in self.needs)
        if reason := next(filter(None, reasons), ""):
            return reason
        if self.package and importlib.util.find_spec(self.package) is None:
            return f"the package {self.package} is not installed: pip install {self.package}"
        return ""

    def keys(self, work: Work) -> dict[str, Any] | None:
        """The keys of ``decoding`` that choose it for this config: pixels serve several encoders, not one alone."""
        alone = self.decoding is not None and self.decoding["input"] == PIXELS and work.encoders < 2
        return None if alone else self.decoding

    def chosen(self, work: Work) -> dict[str, Any]:
        """The fields of ``table.Row`` that say what in the config chooses it."""
        keys = self.keys(work)
        return {} if keys is None else {"decoding": json.dumps(keys), "encoder": json.dumps(self.tuned(work).keys())}

    def prepare(self, work: Work) -> None:
        """Write what epochs read."""
        self.way.prepare(work)

    def tuned(self, work: Work) -> Work:
        """The work as its encoder does it."""
        return work.with_keys(dict(self.encoder))

    def told(self, work: Work) -> str:
        """Its settings in words."""
        return self.settings.format(threads=work.threads, batch=work.settings.micro_batch, prefetch=PREFETCH)


def _decoding(**changes: Any) -> dict[str, Any]:
    """Keys of ``decoding``, with changes to the default."""
    return {"input": "files", "jpeg_draft": False, "decoder": PILLOW, **changes}


PIPELINES = (
    Pipeline(
        "threads over files",
        "Pillow, {threads} threads, batches of {batch}",
        decoding=_decoding(),
    ),
    Pipeline(
        "threads over files, JPEG draft",
        "Pillow's draft mode, {threads} threads, batches of {batch}",
        way=Files((("jpeg_draft", True),)),
        decoding=_decoding(jpeg_draft=True),
        needs=(whole_images, _jpegs),
    ),
    Pipeline(
        "threads over files, simplejpeg",
        "simplejpeg, {threads} threads, batches of {batch}",
        way=Files((("decoder", SIMPLEJPEG),)),
        decoding=_decoding(decoder=SIMPLEJPEG),
        package=SIMPLEJPEG,
        needs=(whole_images, _jpegs),
    ),
    Pipeline(
        "simplejpeg, JPEG draft",
        "simplejpeg's scaled decoding, {threads} threads, batches of {batch}",
        way=Files((("decoder", SIMPLEJPEG), ("jpeg_draft", True))),
        decoding=_decoding(decoder=SIMPLEJPEG, jpeg_draft=True),
        package=SIMPLEJPEG,
        needs=(whole_images, _jpegs),
    ),
    Pipeline(
        "store of pixels",
        "Zarr, uint8, Zstandard, written before; a chunk at a time, batches of {batch}",
        way=PixelStore(),
        decoding=_decoding(input=PIXELS),
        needs=(whole_images,),
    ),
    Pipeline(
        "pixels in memory",
        "uint8; the first epoch reads files by {threads} threads; batches of {batch}",
        way=PixelsInMemory(),
    ),
    Pipeline(
        "PyTorch DataLoader",
        "{threads} workers, prefetch_factor {prefetch}, persistent, pinned for a card, batches of {batch}; Pillow",
        way=TorchLoader(),
        needs=(files_alone,),
    ),
    Pipeline(
        "WebDataset",
        "tar shards written before, 4 a worker; batched in {threads} workers, prefetch_factor {prefetch}, persistent; "
        "Pillow",
        way=WebDataset(),
        needs=(whole_images,),
        package="webdataset",
    ),
    Pipeline(
        "SPDL",
        "stages of {threads} threads each for reading and decoding, sink of {prefetch} batches of {batch}; Pillow",
        way=Spdl(),
        package="spdl",
        needs=(whole_images, files_alone),
    ),
    Pipeline("NVIDIA DALI", "", needs=(_dali,)),
)
"""The first is the default, with which the others are compared."""
