"""Stage: the profiles of all encoders of a config."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from unchoke.encoders.encoder import keep_encoder
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction
from unchoke.machine.limits import planned_batch
from unchoke.names import MASK_KINDS
from unchoke.profiling.profile import Effort, Sample, draw_sample
from unchoke.sources.locations import fields_of
from unchoke.sources.source import image_root, list_images


def profile_encoders(
    args: argparse.Namespace, device: torch.device, profile: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """By encoder its profile; they share the time.

    args: ``config``, ``files`` (weights, card and plan by encoder), ``seconds``, ``images``, ``seed``, ``threads`` and
    ``vram_mb``. UnchokeError for images with masks, which are cut into patches that this does not measure.
    """
    config, dataset = args.config, args.config["dataset"]
    if dataset["kind"] in MASK_KINDS:
        raise UnchokeError(
            "Only the extraction of whole images can be profiled.",
            found=f"dataset.kind {dataset['kind']}, whose images are cut into patches",
            expected="a dataset of whole images",
            do="read the times of finished jobs in rates.csv",
        )
    effort = Effort(args.seconds / len(config["encoders"]), args.images, args.seed)
    path = Path(dataset["path"])
    listing = list_images(dataset["kind"], path, dataset["split"]["group"], fields_of(dataset))
    paths = draw_sample([image.path for image in listing.images], effort)
    sample = Sample(dataset["kind"], image_root(dataset["kind"], path), paths, args.threads)
    found = {}
    for name, section in config["encoders"].items():
        files = {key: Path(file) for key, file in args.files[name].items()}
        how = (section["image_size"], section["pools"], device, section["precision"], args.vram_mb)
        encoder = keep_encoder(files["weights"], files["card"], *how)
        found[name] = profile(sample, encoder, _settings(config, planned_batch(files["plan"])), effort)
    return found


def _settings(config: dict[str, Any], micro_batch: int) -> Extraction:
    decoding = config["decoding"]
    how = {key: decoding[key] for key in ("max_pixels", "jpeg_draft", "decoder")}
    return Extraction(config["chunk_size"], micro_batch, **how)
