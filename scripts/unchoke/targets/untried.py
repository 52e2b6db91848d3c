"""Encoders of which no run has shown yet that they are what the config asks for; see ``encoders.checks``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError
from unchoke.machine.limits import measured_peaks
from unchoke.targets.stores import Config, first_store, has_masks, seen_size


def untried_encoders(config: Config, results: Path) -> dict[str, dict[str, Any]]:
    """What is asked of encoders, by their names, whose memory was not planned or of which an array is not stored.

    results: the folder of the dataset. An encoder is asked for model, image_size, strides and pools.
    """
    found = {}
    for name, encoder in config["encoders"].items():
        asked = {key: encoder[key] for key in ("model", "strides")} | {"image_size": seen_size(config, name)}
        asked["pools"] = [] if has_masks(config) else encoder["pools"]
        store = first_store(config, name)
        folder = results / "features" / f"{Path(store.stem).name}.zarr"
        stored = all((folder / array.partition("/")[0]).exists() for array in store.arrays)
        if not stored or not _was_planned(results / "plans" / f"{name}.json", asked):
            found[name] = asked
    return found


def _was_planned(plan: Path, asked: Mapping[str, Any]) -> bool:
    """Whether there is a memory plan of an encoder with this model and image size."""
    try:
        planned = measured_peaks(plan)
    except (FileNotFoundError, UnchokeError):
        return False
    size = asked["image_size"] or planned["image_size"]
    return (planned["model"], planned["image_size"]) == (asked["model"], size)
