"""A network of the config: timm's model with a classifier, an encoder's weights, and the cut before its last blocks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load
from torch import nn

from unchoke.encoders.cut import blocks_of, cut_network
from unchoke.encoders.encoder import resize
from unchoke.errors import UnchokeError, mend
from unchoke.hashing import sha256_bytes
from unchoke.networks import small_cnn  # noqa: F401 timm knows it from here on
from unchoke.networks.network import Network

ALL = "all"
"""Of ``blocks``: everything is trained."""


def sees_pixels(settings: Mapping[str, Any]) -> bool:
    """Whether a network of these settings reads pixels; else it reads activations."""
    return bool(settings["blocks"] == ALL or settings["cache"] == "none")


def build_network(
    facts: Mapping[str, Any], settings: Mapping[str, Any], n_classes: int, seed: int, weights: Path | None
) -> Network:
    """The network of a section of the config, with first weights drawn from `seed`.

    facts: ``model``, ``image_size``, ``trained`` and ``data_config``, and with `weights` their ``weights_sha256``.
    settings: blocks, cache, dropout, drop_path, checkpointing. weights: safetensors file of the encoder, all but a
    classifier; None: random weights remain.
    Raises UnchokeError where the file is another one, or the model takes no drop-path, or has no such cut.
    """
    model = _first_model(str(facts["model"]), settings, n_classes, seed)
    if weights:
        _load_encoder(model, weights, str(facts["weights_sha256"]))
    resize(model, int(facts["image_size"]))
    names = blocks_of(model) if settings["checkpointing"] else []
    frozen, trained = None, model
    if settings["blocks"] != ALL:
        parts = cut_network(model, settings["blocks"], int(facts["image_size"]))
        frozen, trained = (parts.frozen if settings["cache"] == "none" else None), parts.trained
        names = names[-settings["blocks"] :]
    return Network(
        model,
        trained,
        frozen,
        classifier=model.get_classifier(),  # type: ignore[operator]
        blocks=[trained.get_submodule(name) for name in names],
        frozen_norm=settings["blocks"] != ALL or bool(facts["trained"]),
        mean=tuple(facts["data_config"]["mean"]),
        std=tuple(facts["data_config"]["std"]),
    )


def _first_model(name: str, settings: Mapping[str, Any], n_classes: int, seed: int) -> nn.Module:
    """A model with random weights; torch's own random state stays as it was."""
    dropped = {"drop_path_rate": settings["drop_path"]} if settings["drop_path"] else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return timm.create_model(name, pretrained=False, num_classes=n_classes, **dropped)
        except TypeError as error:
            if not dropped:
                raise
            raise UnchokeError(
                "The network takes no drop-path.", found=str(error), where=name, do="set drop_path to 0"
            ) from None


def _load_encoder(model: nn.Module, weights: Path, sha256: str) -> None:
    """Load an encoder's weights; the classifier, which they lack, stays as it is."""
    data = weights.read_bytes()
    if (found := sha256_bytes(data)) != sha256:
        raise UnchokeError(
            "The weights are not those that the cache was made with.",
            found=f"sha256 {found}",
            expected=f"sha256 {sha256}",
            where=str(weights),
            do=mend(weights),
        )
    missing, unknown = model.load_state_dict(load(data), strict=False)
    left = set(missing) - set(classifier_tensors(model))
    if left or unknown:
        raise UnchokeError(
            "The weights do not fit the network.",
            found=", ".join([*sorted(left)[:3], *unknown[:3]]),
            expected="the tensors of the model but those of its classifier",
            where=str(weights),
            do=mend(weights),
        )


def classifier_tensors(model: nn.Module) -> list[str]:
    """Names of the tensors of a model's classifier, of which it may have two."""
    names = model.pretrained_cfg["classifier"]  # type: ignore[index]
    names = [names] if isinstance(names, str) else list(names)
    return [tensor for tensor in model.state_dict() if tensor.startswith(tuple(f"{name}." for name in names))]
