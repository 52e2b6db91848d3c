"""Encoders of which no run has shown yet that they are what the config asks for; see ``encoders.checks``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unchoke.config.caches import blocks_of, caches
from unchoke.encoders.model_names import check_name
from unchoke.errors import UnchokeError
from unchoke.machine.limits import measured_peaks
from unchoke.names import SMALL_CNN
from unchoke.targets.stores import Config, encoders_in_use, first_store, has_masks, seen_size


def untried_encoders(config: Config, results: Path) -> dict[str, dict[str, Any]]:
    """What is asked of encoders, by their names, whose memory was not planned or of which an array is not stored.

    results: the folder of the dataset. An encoder is asked for model, image_size, strides, pools and
    blocks.
    """
    found = {}
    for name, encoder in encoders_in_use(config).items():
        asked = {key: encoder[key] for key in ("model", "strides")} | {"image_size": seen_size(config, name)}
        asked["pools"] = [] if has_masks(config) else encoder["pools"]
        store = first_store(config, name)
        folder = results / "features" / f"{Path(store.stem).name}.zarr"
        if blocks := blocks_of(config, name):
            asked["blocks"] = blocks
        arrays = [folder / array.partition("/")[0] for array in store.arrays]
        cuts = {cut: cache for cut, cache in caches(config).items() if cache.encoder == name and cache.blocks}
        arrays += [results / "features" / f"{cut}.zarr" / cache.kind for cut, cache in cuts.items()]
        stored = all(array.exists() for array in arrays)
        if not stored or not _was_planned(results / "plans" / f"{name}.json", asked):
            found[name] = asked
    return found


def refuse_unknown_models(config: Config, results: Path) -> None:
    """UnchokeError with the nearest name where timm has no such model; those that a run has tried are not looked up."""
    for encoder in untried_encoders(config, results).values():
        check_name(encoder["model"])
    for network in config["networks"].values():
        if network["model"] and network["model"] != SMALL_CNN:
            check_name(network["model"])


def _was_planned(plan: Path, asked: Mapping[str, Any]) -> bool:
    """Whether there is a memory plan of an encoder with this model and image size."""
    try:
        planned = measured_peaks(plan)
    except (FileNotFoundError, UnchokeError):
        return False
    size = asked["image_size"] or planned["image_size"]
    return (planned["model"], planned["image_size"]) == (asked["model"], size)
