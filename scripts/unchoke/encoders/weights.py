"""Stage: the weights of an encoder as a file, with a card that describes them."""

import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save
from timm.data.config import resolve_model_data_config

from unchoke.encoders.hub import unreachable
from unchoke.encoders.model_names import ELSEWHERE, no_such_model
from unchoke.encoders.packaged import DATA_CONFIG, PACKAGES, packaged_bytes, timm_names
from unchoke.errors import UnchokeError
from unchoke.files import write_atomic
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.regular_files import check_regular
from unchoke.signed import signed_bytes

HUB_PATIENCE_S = 10.0  # the hub's client would try for minutes
_DATA_CONFIG_KEYS = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
_CLASSIFIER = re.compile(r"^(head|head_drop|fc|classifier|head_dist|last_linear)\.|\.fc\.(weight|bias)$")


def fetch_weights(model_name: str, weights: str, seed: int, weights_path: Path, card_path: Path) -> dict[str, Any]:
    """Write the weights of a timm model as safetensors, and their card; return the card.

    weights: ``pretrained`` (from the hub), ``packaged`` (from a Python package), ``untrained`` (drawn from `seed`), or
    the path of a file of tensors.
    The card holds their sha256, their source and timm's data config (size, crop, interpolation, mean, std).
    UnchokeError names the nearest model, the file to fetch by hand, the package to install, or the tensors that do not
    fit.
    """
    refuse_unknown_model(model_name)
    if weights == "untrained":
        model, source = untrained_model(model_name, seed), f"untrained, seed {seed}"
    elif weights == "pretrained":
        model = _from_hub(model_name)
        source = f"pretrained, {model.pretrained_cfg.get('hf_hub_id') or model.pretrained_cfg.get('url')}"
    elif weights == "packaged":
        model = _from_package(model_name)
        source = f"packaged, {PACKAGES[model_name].pinned}"
    else:
        model, source = _from_file(model_name, Path(weights)), f"file {Path(weights).name}"
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    # One key of metadata, since safetensors writes several keys in a random order.
    data = save(state, metadata={"unchoke": canonical_json({"model": model_name, "source": source})})
    config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    card = {
        "model": model_name,
        "source": source,
        "trained": weights != "untrained",
        "sha256": sha256_bytes(data),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "data_config": json.loads(json.dumps({key: config[key] for key in _DATA_CONFIG_KEYS})),
        "license": model.pretrained_cfg.get("license"),
    }
    write_atomic(weights_path, data)
    write_atomic(card_path, signed_bytes(card))
    return card


def refuse_unknown_model(model_name: str) -> None:
    """UnchokeError with the nearest name where timm has no such model, or no weights of that tag."""
    if model_name.startswith(ELSEWHERE):
        return
    name, _, tag = model_name.partition(".")
    known: Iterable[str] = timm.list_models()
    if timm.is_model(name):
        if not tag or model_name in timm.list_pretrained():
            return
        known = timm.list_pretrained(f"{name}.*")
    raise no_such_model(model_name, known)


def untrained_model(model_name: str, seed: int, data_config: dict[str, Any] | None = None) -> Any:
    """A timm model without classifier, drawn from `seed`; torch's own random state stays as it was.

    data_config: what is to replace the same keys of timm's own.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return timm.create_model(
            model_name, pretrained=False, num_classes=0, pretrained_cfg_overlay=data_config or {}
        ).eval()


def packaged_tensors(model_name: str) -> dict[str, torch.Tensor]:
    """The tensors of the model's package by timm's names, those of the classifier too; errors of ``packaged_bytes``."""
    tensors = torch.load(io.BytesIO(packaged_bytes(model_name)), map_location="cpu", weights_only=True)
    names = timm_names(tensors, PACKAGES[model_name].stages)
    return {names[name]: tensor for name, tensor in tensors.items()}


def _from_hub(model_name: str) -> Any:
    try:
        if reason := unreachable(model_name, HUB_PATIENCE_S):
            raise ConnectionError(reason)
        return timm.create_model(model_name, pretrained=True, num_classes=0).eval()
    except Exception as error:  # the hub's client, its HTTP library and timm raise different exceptions
        config = timm.get_pretrained_cfg(model_name) if not model_name.startswith("hf") else None
        hub_id = getattr(config, "hf_hub_id", None) or model_name.removeprefix("hf-hub:")
        if config is not None and not config.has_weights:
            raise UnchokeError(
                "timm has no pretrained weights for this model.",
                found=model_name,
                do="choose a model of timm.list_pretrained(), or set weights: untrained or the path of a file",
            ) from None
        raise UnchokeError(
            "The pretrained weights could not be fetched.",
            found=" ".join(str(error).split())[:300] or type(error).__name__,
            expected=f"the file model.safetensors of {hub_id} on the Hugging Face hub",
            where=f"encoders.*.model: {model_name}",
            do=f"connect to the network and run again; or fetch that file on another machine (hf download "
            f"{hub_id} model.safetensors), put it at resources/{model_name}.safetensors, and set "
            f"weights: resources/{model_name}.safetensors",
        ) from error


def _from_package(model_name: str) -> Any:
    tensors = packaged_tensors(model_name)
    return _filled(untrained_model(model_name, 0, DATA_CONFIG), model_name, tensors, PACKAGES[model_name].pinned)


def _from_file(model_name: str, path: Path) -> Any:
    return _filled(untrained_model(model_name, seed=0), model_name, _read_tensors(path), str(path))


def _filled(model: Any, model_name: str, tensors: dict[str, torch.Tensor], where: str) -> Any:
    """The model with `tensors`, by their names; the classifier among them is left out."""
    expected = model.state_dict()
    state = _without_classifier(tensors, expected)
    wrong = [f"{name} is missing" for name in expected if name not in state]
    wrong += [f"{name} is not known" for name in state if name not in expected]
    wrong += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if wrong:
        raise UnchokeError(
            "The weights do not fit the model.",
            found="; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""),
            expected=f"the {len(expected)} tensors of {model_name}",
            where=where,
            do="name the model that these weights were made with in encoders.*.model",
        )
    model.load_state_dict(state)
    return model


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, or of a PyTorch file; the latter is read without running any code in it."""
    try:
        check_regular(path)
        return dict(timm.models.load_state_dict(str(path), device="cpu", weights_only=True))
    except FileNotFoundError:
        found = "nothing"
    except Exception as error:  # safetensors, pickle and zip raise different exceptions
        found = " ".join(str(error).split())[:300]
    raise UnchokeError(
        "The weights cannot be read.",
        found=found,
        expected="`pretrained`, `packaged`, `untrained`, or the path of a safetensors file, or of a PyTorch file of "
        "tensors alone",
        where=str(path.absolute()),
        do="correct encoders.*.weights",
    )


def _without_classifier(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if name in expected or not _CLASSIFIER.search(name)}
