"""What a network is trained on and built from: sealed stores, the manifest, an encoder's weights."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config

from unchoke.cleaning.clean import add_selection_flags, selected
from unchoke.encoders.cards import read_card
from unchoke.encoders.pixels import NO_ENCODER, transform_facts
from unchoke.encoders.weights import refuse_unknown_model
from unchoke.files import file_sha256
from unchoke.hashing import sha256_json
from unchoke.heads.checkpoint import read_checkpoint
from unchoke.heads.train import store_digests
from unchoke.machine.devices import add_device_flags
from unchoke.networks import small_cnn  # noqa: F401 timm knows it from here on
from unchoke.networks.build import build_network, sees_pixels
from unchoke.networks.network import Network
from unchoke.networks.start import refuse_unfit_start, start_from
from unchoke.networks.stored import StoredImages, refuse_other_cache, split_images
from unchoke.networks.task import NetworkTask
from unchoke.store.read import FeatureStore, open_views

CARD_FACTS = ("model", "trained", "data_config")
TIMMS = ("mean", "std")


@dataclass(frozen=True)
class Sources:
    """All that a training reads."""

    stores: dict[str, FeatureStore]
    """By view."""
    classes: list[str]
    images: dict[str, StoredImages]
    """Of train, val and test, in the views that the settings name."""
    facts: dict[str, Any]
    """Of the encoder, or of the model that begins with random weights; see ``build.build_network``."""
    weights: Path | None
    """Of the encoder."""

    @property
    def chunk_size(self) -> int:
        """Images of a chunk of the stores."""
        return int(next(iter(self.stores.values())).seal["chunk_size"])


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that reads what a network is trained on, and those of the device."""
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores, one for each view")
    add_selection_flags(parser)
    parser.add_argument("--weights", type=Path, help="safetensors file of the encoder; none: random weights")
    parser.add_argument("--card", type=Path, help="JSON file that says what the weights are")
    parser.add_argument(
        "--settings", type=json.loads, required=True, help="the network's section of the config, as JSON"
    )
    add_device_flags(parser)


def open_sources(args: argparse.Namespace) -> Sources:
    """The sources that the flags name; UnchokeError where a store is incomplete or of another cut or weights."""
    stores = open_views(args.stores)
    seal = next(iter(stores.values())).seal["settings"]
    facts = {**seal, **origin_facts(args.settings, args.card), **_size(seal)}
    facts.pop("view", None)
    for store in stores.values():
        refuse_other_cache(store, _expected(facts, args.settings))
    classes, images = split_images(stores, selected(args.manifest, args.selection), args.settings)
    return Sources(stores, classes, images, facts, args.weights)


def task_of(sources: Sources, settings: dict[str, Any], device: torch.device, start: Path | None) -> NetworkTask:
    """The training of one member. start: checkpoint of the head that its classifier begins with."""
    head = read_checkpoint(start) if start else None
    if head:
        refuse_unfit_start(head, sources.facts, sources.classes)

    def build(seed: int) -> Network:
        network = build_network(sources.facts, settings, len(sources.classes), seed, sources.weights)
        return start_from(network, head) if head else network

    origins = [store_digests(sources.stores), sources.facts["weights_sha256"], file_sha256(start) if start else ""]
    rows = [part.tolist() for images in sources.images.values() for part in (images.image_id_N, images.label_N)]
    return NetworkTask(
        build,
        sources.images["train"],
        sources.images["val"],
        settings,
        len(sources.classes),
        device,
        data_sha256=sha256_json([origins, rows]),
        chunk_size=sources.chunk_size,
    )


def _expected(facts: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the settings of a store must say. facts: of the network's origin."""
    if not sees_pixels(settings):
        return {"weights_sha256": facts["weights_sha256"], "blocks": settings["blocks"]}
    data_config = facts["data_config"] if settings["encoder"] else NO_ENCODER
    return {"transform": transform_facts(facts["image_size"], data_config)}


def _size(seal: Mapping[str, Any]) -> dict[str, int]:
    return {"image_size": int(seal["image_size"] if "image_size" in seal else seal["transform"]["image_size"])}


def origin_facts(settings: Mapping[str, Any], card: Path | None) -> dict[str, Any]:
    """What the weights are, or the model that begins with random ones."""
    if card:
        facts = read_card(card)
        return {**{name: facts[name] for name in CARD_FACTS}, "weights_sha256": facts["sha256"]}
    refuse_unknown_model(settings["model"])
    model = timm.create_model(settings["model"], pretrained=False, num_classes=0)
    config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    data_config = {name: list(config[name]) for name in TIMMS}
    return {"model": settings["model"], "trained": False, "weights_sha256": "", "data_config": data_config}
