"""Stage: the profiles of all encoders and networks of a config."""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unchoke.encoders.encoder import Encoder, keep_encoder
from unchoke.encoders.pixels import NO_ENCODER, Pixels
from unchoke.features.chunk import Extraction
from unchoke.images.steps import PLAIN
from unchoke.machine.limits import planned_batch
from unchoke.machine.memory import budget_of, meter_of
from unchoke.names import ACTIVATIONS, MASK_KINDS, PIXELS, cut_pool
from unchoke.networks.build import build_network, sees_pixels
from unchoke.networks.images import HeldImages
from unchoke.networks.sources import origin_facts
from unchoke.networks.task import NetworkTask
from unchoke.profiling.extraction import profile_extraction
from unchoke.profiling.sample import Effort, Images, Sample, draw_images, draw_patches, refuse_few
from unchoke.profiling.training import profile_training
from unchoke.sources.locations import fields_of
from unchoke.sources.source import Listing, image_root, list_images

EXTRACTION, TRAINING = "extraction", "training"


def profile_pipeline(args: argparse.Namespace, device: torch.device) -> dict[str, dict[str, Any]]:
    """By ``extraction`` and ``training`` the profiles by encoder and by network; they share the time.

    args: ``config``, ``files`` (weights, card and plan by encoder), ``seconds``, ``images``, ``seed``, ``threads`` and
    ``vram_mb``. UnchokeError for too few images, or a network that does not fit the memory.
    """
    encoders, networks = args.config["encoders"], args.config["networks"]
    effort = Effort(args.seconds / (len(encoders) + len(networks)), args.images, args.seed)
    work = _Work(args, device, effort)
    listing = work.listing()
    sample, unreadable = work.sample(listing)
    found: dict[str, dict[str, Any]] = {EXTRACTION: {}, TRAINING: {}}
    for name in encoders:
        _say(name, EXTRACTION, len(sample.names), effort)
        profile = profile_extraction(sample, work.encoder(name), work.extraction(name), effort)
        found[EXTRACTION][name] = {**profile, "unreadable": unreadable | profile["unreadable"]}
    labels = {image.path: image.label for image in listing.images}
    for name in networks:
        _say(name, TRAINING, len(sample.names), effort)
        task, meter = work.task(name, sample, labels), meter_of(device)  # type: ignore[arg-type]
        budget_mb = budget_of(meter, args.vram_mb)
        found[TRAINING][name] = profile_training(task, meter, budget_mb, effort.seconds, effort.seed)
    return found


def _say(name: str, what: str, count: int, effort: Effort) -> None:
    print(f"profiling {what} of {name}, {count} images at most: about {effort.seconds:.0f} s …", flush=True)


@dataclass(frozen=True)
class _Work:
    """What a config asks for."""

    args: argparse.Namespace
    device: torch.device
    effort: Effort

    def listing(self) -> Listing:
        dataset = self.args.config["dataset"]
        return list_images(dataset["kind"], Path(dataset["path"]), dataset["split"]["group"], fields_of(dataset))

    def sample(self, listing: Listing) -> tuple[Sample, dict[str, str]]:
        """Images, or patches where there are masks; and why images of these could not be opened."""
        dataset, threads = self.args.config["dataset"], self.args.threads
        root, paths = image_root(dataset["kind"], Path(dataset["path"])), [image.path for image in listing.images]
        if dataset["kind"] not in MASK_KINDS:
            return draw_images(dataset["kind"], root, paths, threads, self.effort), {}
        cut = self.args.config["patches"]
        return draw_patches(root, paths, cut["size"], cut["overlap"], threads, self.effort)

    def encoder(self, name: str, pools: list[str] | None = None) -> Encoder:
        """An encoder as its chunks are made with it; pools: others than it has."""
        section, files = self.args.config["encoders"][name], self._files(name)
        masks = self.args.config["dataset"]["kind"] in MASK_KINDS
        size = self.args.config["patches"]["size"] if masks else section["image_size"]
        given = [] if masks else section["pools"] if pools is None else pools
        how = (size, given, self.device, section["precision"], self.args.vram_mb, section["strides"] or ())
        return keep_encoder(files["weights"], files["card"], *how)

    def extraction(self, name: str) -> Extraction:
        config, micro_batch = self.args.config, planned_batch(self._files(name)["plan"])
        store = config["encoders"][name]["store"]
        if config["dataset"]["kind"] in MASK_KINDS:
            rows, max_pixels = config["patches"]["per_chunk"], config["decoding"]["max_pixels"]
            return Extraction(rows, micro_batch, max_pixels, store=store)
        return Extraction(config["chunk_size"], micro_batch, **self._decoding(), store=store)

    def _decoding(self) -> dict[str, Any]:
        """How files of whole images become pixels."""
        return {key: self.args.config["decoding"][key] for key in ("max_pixels", "jpeg_draft", "decoder")}

    def task(self, name: str, sample: Images, labels: dict[str, str]) -> NetworkTask:
        """The training of a network on the sample: its activations or pixels, in memory. labels: by path, of all."""
        settings = self.args.config["networks"][name]
        files = self._files(settings["encoder"]) if settings["encoder"] else {}
        facts = origin_facts(settings, files.get("card"))
        x_N, paths, size = self._cached(settings, sample, facts)
        classes = sorted(set(labels.values()))
        label_N = np.array([classes.index(labels[path]) for path in paths])
        images = HeldImages(np.arange(len(paths)), label_N, x_N[None])
        facts = {**facts, "image_size": size}
        build = partial(_build, facts, settings, len(classes), files.get("weights"))
        return NetworkTask(build, images, images, settings, len(classes), self.device, data_sha256="")

    def _cached(self, settings: dict[str, Any], sample: Images, facts: dict[str, Any]) -> tuple[Any, list[str], int]:
        """What the caches hold of the sample, the paths of what could be read, and the height and width in px."""
        name, config = settings["encoder"], self.args.config
        encoder: Encoder | Pixels
        if sees_pixels(settings):
            size = self.encoder(name).image_size if name else settings["image_size"]
            encoder, array = Pixels(size, facts["data_config"] if name else NO_ENCODER), PIXELS
            how = Extraction(config["chunk_size"], config["chunk_size"], **self._decoding())
        else:
            encoder, array, how = self.encoder(name, [cut_pool(settings["blocks"])]), ACTIVATIONS, self.extraction(name)
        starts = range(0, len(sample.names), how.chunk_size)
        chunks = [sample.chunk(first, encoder, how, sample.threads, PLAIN) for first in starts]
        valid_N = np.concatenate([chunk.arrays["valid"] for chunk in chunks])
        x_N = np.concatenate([chunk.arrays[array] for chunk in chunks])[valid_N]
        paths = [path for path, valid in zip(sample.names, valid_N, strict=False) if valid]
        refuse_few(len(paths), f"readable images of {len(sample.names)}")
        shape = encoder.cut.cut.shape if isinstance(encoder, Encoder) and encoder.cut else x_N.shape[1:]
        return x_N.reshape(-1, *shape), paths, encoder.image_size

    def _files(self, name: str) -> dict[str, Path]:
        return {key: Path(file) for key, file in self.args.files[name].items()}


def _build(facts: dict[str, Any], settings: dict[str, Any], n_classes: int, weights: Path | None, seed: int) -> Any:
    return build_network(facts, settings, n_classes, seed, weights)
