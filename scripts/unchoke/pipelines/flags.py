"""The flags of the command, and what they make."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from unchoke.encoders.encoder import PRECISIONS
from unchoke.encoders.lanes import most_lanes
from unchoke.features.chunk import Extraction
from unchoke.machine.commands import or_none
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.machine.limits import measured_peaks
from unchoke.pipelines.work import Work
from unchoke.sources.source import add_source_flags

SCRATCH = "pipelines.tmp"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of the images, the encoder and the device."""
    add_source_flags(parser)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with paths, labels and splits")
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file of the encoder")
    parser.add_argument("--card", type=Path, required=True, help="JSON file that describes the weights")
    parser.add_argument("--plan", type=Path, required=True, help="JSON file with the micro-batch")
    parser.add_argument("--image-size", type=or_none(int), help="height and width, px; none: the encoder's own")
    parser.add_argument("--pool", default="avg", help="pool whose features are compared")
    parser.add_argument("--precision", choices=PRECISIONS, default="float16", help="arithmetic on CUDA")
    parser.add_argument("--numbers", default="float16", help="numbers of the store, float16 or float32")
    parser.add_argument("--encoder", required=True, help="name of the encoder in the config")
    parser.add_argument("--encoders", type=int, default=1, help="encoders of the config with this image size")
    parser.add_argument("--chunk-size", type=int, required=True, help="images a chunk")
    add_device_flags(parser)


def work_of(args: argparse.Namespace, micro_batch: int) -> Work:
    """The work without its images; the device is leased by this process."""
    device = device_of(args)
    settings = Extraction(args.chunk_size, micro_batch, args.max_pixels, store=args.numbers)
    return Work(
        args.kind,
        args.root,
        pd.DataFrame(),
        args.weights,
        args.card,
        args.image_size,
        args.pool,
        device.type,
        args.precision,
        settings,
        args.threads,
        args.table.parent / SCRATCH,
        args.encoders,
        most_lanes=most_lanes(measured_peaks(args.plan)),
    )


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it SIGTERM ends this process as an exit does, so that what was begun is cleared away."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
