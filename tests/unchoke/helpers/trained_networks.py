"""Tiny networks that the commands have trained on a few pictures: behind a cut, frozen part run anew, and whole."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import zarr
from scipy.special import softmax
from small_pictures import extract, extract_pixels, make_pictures, seal

from unchoke.config.networks import Network
from unchoke.files import write_atomic
from unchoke.signed import signed_bytes
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

SIZE = 32
VIEWS = {"train_views": ["identity", "hflip"], "test_views": ["identity", "hflip"]}
GIVEN: dict[str, dict[str, Any]] = {
    "cut": {"encoder": "vit", "blocks": 1, "seeds": [0, 1], **VIEWS},
    "again": {"encoder": "resnet", "blocks": 2, "cache": "none"},
    "whole": {"encoder": "vit"},
    "cnn": {"model": "small_cnn", "image_size": SIZE},
}
MODELS = {"vit": "test_vit", "resnet": "test_resnet"}
STORES = {
    "cut": ["vit~last1", "vit~last1@hflip"],
    "again": ["resnet~pixels"],
    "whole": ["vit~pixels"],
    "cnn": [f"pixels~{SIZE}"],
}


@dataclass(frozen=True)
class TrainedRun:
    """What a run has left."""

    folder: Path
    manifest: pd.DataFrame

    def checkpoint(self, network: str) -> Path:
        return self.folder / "checkpoints" / (GIVEN[network].get("encoder") or "pixels") / f"{network}.safetensors"

    def weights(self, network: str) -> Path:
        return self.folder / "resources" / "weights" / f"{MODELS[GIVEN[network]['encoder']]}.safetensors"

    def pixels(self, network: str) -> str:
        """Name of the store that has the images as the network sees them."""
        encoder = GIVEN[network].get("encoder")
        return f"{encoder}~pixels" if encoder else f"pixels~{SIZE}"

    def path(self, image_id: int) -> Path:
        return self.folder / "images" / self.manifest["path"][image_id]

    def written(self, network: str, *, calibrated: bool) -> tuple[list[int], np.ndarray]:
        """Ids of the images of val and test, and their probabilities as the run has written them."""
        encoder = self.checkpoint(network).parent.name
        group = zarr.open_group(self.folder / "heads" / f"{encoder}.zarr" / network, mode="r")
        temperature_R11 = np.array(group.attrs["unchoke"]["temperatures"])[:, None, None] if calibrated else 1
        logits_RNC = np.concatenate([group[f"{split}_logits"][:] for split in ("val", "test")], 1)
        ids = [*group["val_image_id"][:].tolist(), *group["test_image_id"][:].tolist()]
        return ids, softmax(logits_RNC / temperature_R11, -1).mean(0)


def make_run(folder: Path) -> TrainedRun:
    """Pictures, caches, and every network of ``GIVEN``, trained for two epochs."""
    make_pictures(folder, *MODELS.values())
    for view in ("identity", "hflip"):
        name = "vit~last1" if view == "identity" else f"vit~last1@{view}"
        extract(folder, name, "test_vit", "--image-size", f"{SIZE}", "--view", view, pools="last1")
    for encoder, model in MODELS.items():
        extract_pixels(folder, f"{encoder}~pixels", model, "--image-size", f"{SIZE}")
    extract_pixels(folder, f"pixels~{SIZE}", None, "--image-size", f"{SIZE}")
    for store in sorted({store for stores in STORES.values() for store in stores}):
        seal(folder, store)
    run = TrainedRun(folder, read_table(folder / "manifest.csv", MANIFEST_COLUMNS))
    (folder / "resources" / "weights").mkdir(parents=True)
    for model in MODELS.values():
        for suffix in (".safetensors", ".json"):
            (folder / f"{model}{suffix}").rename(folder / "resources" / "weights" / f"{model}{suffix}")
    threads = torch.get_num_threads()
    for network in GIVEN:
        train(run, network)
    torch.set_num_threads(threads)
    return run


def train(run: TrainedRun, network: str) -> None:
    """Train and choose as the workflow does."""
    given = {"learning_rates": [0.02], "epochs": 2, "batch_size": 4, "choose_by": "accuracy", "start": None}
    settings = Network.model_validate(given | GIVEN[network]).model_dump()
    members, folder = run.folder / "members" / network, run.folder
    stores = [f"{folder}/features/{store}.zarr" for store in STORES[network]]
    flags = ["--stores", *stores, "--manifest", f"{folder}/manifest.csv", "--settings", json.dumps(settings)]
    if "encoder" in GIVEN[network]:
        weights = run.weights(network)
        flags += ["--weights", f"{weights}", "--card", f"{weights.with_suffix('.json')}"]
    flags += ["--device", "cpu", "--vram-mb", "1000", "--threads", "1"]
    write_atomic(members / "plan.json", signed_bytes({"micro_batch": 3}))
    for seed in settings["seeds"]:
        member = ["--seed", f"{seed}", "--rate", "0.02", "--decay", f"{settings['weight_decays'][0]}"]
        member += ["--plan", f"{members}/plan.json", "--steps", f"{members}/{seed}.csv"]
        importlib.import_module("train_member").main([*flags, *member, "--member", f"{members}/{seed}.safetensors"])
    encoder = run.checkpoint(network).parent.name
    places = ["--group", f"{folder}/heads/{encoder}.zarr/{network}", "--checkpoint", f"{run.checkpoint(network)}"]
    places += ["--run", f"{folder}/runs/{encoder}/{network}.json"]
    found = [f"{members}/{seed}.safetensors" for seed in settings["seeds"]]
    importlib.import_module("choose_network").main([*flags, *places, "--members", *found])
