"""The flags of the command, and what they make."""

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import torch

from unchoke.encoders.encoder import PRECISIONS
from unchoke.encoders.lanes import most_lanes
from unchoke.features.chunk import Extraction
from unchoke.machine.commands import or_none
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.machine.limits import measured_peaks, planned_batch
from unchoke.manifest.classes import recorded_task
from unchoke.manifest.images import in_use
from unchoke.names import CLASSIFICATION
from unchoke.pipelines.accuracy import Judge, RidgeJudge
from unchoke.pipelines.mask_figures import Detection, MaskJudge
from unchoke.pipelines.network_work import NetworkWork
from unchoke.pipelines.patches import patches_in_use
from unchoke.pipelines.recommend import network_recommendation
from unchoke.pipelines.table import Row
from unchoke.pipelines.work import Work
from unchoke.sources.source import add_source_flags
from unchoke.store.read import open_complete
from unchoke.store.tables import MANIFEST_COLUMNS, PATCH_COLUMNS, WORD_COLUMNS, read_table
from unchoke.text.score import Settings
from unchoke.training.choose import grid_of

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
    parser.add_argument("--strides", nargs="*", type=int, default=[], help="of maps of patches, px; none: whole images")
    parser.add_argument("--patches", type=Path, help="table of the patches, with --strides")
    parser.add_argument("--labels", type=Path, help="sealed store of their labels")
    parser.add_argument("--words", type=Path, help="table of the true words, where there are words")
    parser.add_argument("--detection", type=json.loads, help="section detection of the config, as JSON")
    parser.add_argument("--network", type=json.loads, help="name and settings of a network to train, as JSON")
    parser.add_argument("--network-weights", type=Path, help="safetensors file of its encoder")
    parser.add_argument("--network-card", type=Path, help="JSON file that describes them")
    parser.add_argument("--network-plan", type=Path, help="JSON file with its encoder's micro-batch")
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
        strides=tuple(args.strides),
    )


def network_work_of(args: argparse.Namespace, work: Work) -> NetworkWork:
    """The work for a training of the network. work: of the comparison, whose device it has."""
    name, network, encoder = (args.network[key] for key in ("name", "settings", "encoder"))
    batch = planned_batch(args.network_plan) if args.network_plan else work.settings.chunk_size
    own = {
        "weights": args.network_weights or work.weights,
        "card": args.network_card or work.card,
        "image_size": encoder.get("image_size", work.image_size),
        "precision": encoder.get("precision", work.precision),
        "settings": replace(work.settings, micro_batch=batch, store=encoder.get("store", work.settings.store)),
    }
    common = {each.name: getattr(work, each.name) for each in fields(work)}
    found = NetworkWork(**{**common, **own}, name=name, network=network)
    return found.with_keys({})


def table_of(args: argparse.Namespace) -> pd.DataFrame:
    """The images that can be drawn, or the patches."""
    manifest = read_table(args.manifest, MANIFEST_COLUMNS)
    if args.strides:
        return patches_in_use(manifest, read_table(args.patches, PATCH_COLUMNS))
    # Of numbers and of several labels no accuracy is compared.
    return in_use(manifest) if recorded_task(args.manifest) == CLASSIFICATION else in_use(manifest).assign(label="")


def judge_of(args: argparse.Namespace, work: Work) -> Judge:
    """What features are judged by."""
    if not work.strides:
        return RidgeJudge()
    words = Detection(read_table(args.words, WORD_COLUMNS), Settings(**args.detection)) if args.words else None
    return MaskJudge(open_complete(args.labels), work.strides, torch.device(work.device), words)


def network_text(args: argparse.Namespace, rows: list[Row], table: pd.DataFrame) -> str:
    """The recommendation for the network; nothing where there is none."""
    if not rows:
        return ""
    settings = args.network["settings"]
    images = int(table["split"].isin(("train", "val")).sum())
    trainings = len(grid_of(settings)) * len(settings["seeds"])
    return network_recommendation(rows, args.network["name"], (images, settings["epochs"], trainings))


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it SIGTERM ends this process as an exit does, so that what was begun is cleared away."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
