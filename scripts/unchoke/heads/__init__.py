"""Stage: heads on cached features. One module a kind, each with

    fit(train, val, n_classes, settings, device) -> Fitted
    predict(tensors, settings, x_ND, device) -> logits_NC

where `predict` needs nothing but what the checkpoint holds.
"""

import importlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from unchoke import metrics, stores, versions
from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_atomic
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.manifest import in_use
from unchoke.names import SPLITS
from unchoke.provenance import environment
from unchoke.stores import FeatureStore
from unchoke.zarr_files import MemoryGroup, place_group


@dataclass(frozen=True)
class Rows:
    """The rows of one split."""

    x_ND: torch.Tensor
    """Features, float32."""
    y_N: torch.Tensor
    """Places of the labels among the classes, int64."""
    image_id_N: NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """A head after its fit on train and its choice on val."""

    tensors: dict[str, torch.Tensor]
    """What the checkpoint holds."""
    chosen: dict[str, float]
    """The setting that was best on val."""
    history: dict[str, list[float]]
    """One entry for each setting that was tried."""


@dataclass(frozen=True)
class TrainedHead:
    """A head with its results on val and, read once at the end, on test."""

    fitted: Fitted
    classes: list[str]
    rows: dict[str, Rows]
    logits_NC: dict[str, NDArray[np.float32]]
    """Of val and test."""
    metrics: dict[str, dict[str, float]]
    """Of val and test: accuracy, balanced_accuracy."""
    seconds: float
    """From the first feature read to the last figure."""


def train_head(
    store: FeatureStore, manifest: pd.DataFrame, settings: dict[str, Any], device: torch.device
) -> TrainedHead:
    """Fit one head on the train rows of its pool, choose on val, and report once on test.

    settings: a head of the config. Rows that are excluded in the manifest or invalid in the store take no part.
    """
    started = time.perf_counter()
    kind = importlib.import_module(f"unchoke.heads.{settings['kind']}")
    classes, rows = split_rows(store, manifest, settings["pool"], device)
    fitted = kind.fit(rows["train"], rows["val"], len(classes), settings, device)
    logits = {
        split: kind.predict(fitted.tensors, settings, rows[split].x_ND, device).cpu().numpy()
        for split in ("val", "test")
    }
    figures = {split: _figures(rows[split].y_N.cpu().numpy(), logits[split]) for split in logits}
    return TrainedHead(fitted, classes, rows, logits, figures, time.perf_counter() - started)


def split_rows(
    store: FeatureStore, manifest: pd.DataFrame, pool: str, device: torch.device
) -> tuple[list[str], dict[str, Rows]]:
    """The classes in order, and the usable rows of each split; UnchokeError where a split has none."""
    if len(manifest) != store.seal["images"]:
        raise UnchokeError(
            "Features and manifest are of different images.",
            found=f"{store.seal['images']} rows of features, {len(manifest)} images",
            where=str(store.path),
            do=f"bring the features up to date: snakemake --cores all {store.path / 'zarr.json'}",
        )
    features_ND = store.features(pool)
    usable = in_use(manifest[store.valid()])
    classes = sorted(usable.loc[usable["split"] == "train", "label"].unique())
    place = {label: index for index, label in enumerate(classes)}
    rows = {}
    for split in SPLITS:
        part = usable[usable["split"] == split]
        ids = part["image_id"].to_numpy(np.int64)
        if not len(ids):
            raise UnchokeError(f"No image of the {split} split could be read.", where=str(store.path))
        if unseen := sorted(set(part["label"]) - set(classes)):
            raise UnchokeError(
                f"The {split} split has a class of which train has no readable image.", found=", ".join(unseen[:5])
            )
        x_ND = torch.from_numpy(features_ND[ids].astype(np.float32)).to(device)
        rows[split] = Rows(x_ND, torch.tensor([place[label] for label in part["label"]], device=device), ids)
    return classes, rows


def _figures(label_N: NDArray[np.int64], logits_NC: NDArray[np.float32]) -> dict[str, float]:
    predicted_N = logits_NC.argmax(1)
    return {
        "accuracy": metrics.accuracy(label_N, predicted_N),
        "balanced_accuracy": metrics.balanced_accuracy(label_N, predicted_N),
    }


def save_head(head: TrainedHead, store: FeatureStore, settings: dict[str, Any], group: Path, checkpoint: Path) -> None:
    """Write the checkpoint as safetensors, then the results as a Zarr group whose metadata comes last."""
    features_sha256 = sha256_bytes(stores.seal_file(store.path).read_bytes())
    facts = {
        "version": versions.HEADS,
        "settings": settings,
        "classes": head.classes,
        "encoder": store.seal["settings"],
        "features_sha256": features_sha256,
    }
    tensors = {name: tensor.contiguous().cpu() for name, tensor in head.fitted.tensors.items()}
    data = save(tensors, metadata={"unchoke": canonical_json(facts)})
    write_atomic(checkpoint, data)
    facts |= {
        "chosen": head.fitted.chosen,
        "metrics": head.metrics,
        "images": {split: len(rows.image_id_N) for split, rows in head.rows.items()},
        "checkpoint_sha256": sha256_bytes(data),
    }
    results = MemoryGroup(json.loads(canonical_json(facts)))
    for split, logits in head.logits_NC.items():
        results.root.create_array(f"{split}_logits", data=logits)
        results.root.create_array(f"{split}_label", data=head.rows[split].y_N.cpu().numpy())
        results.root.create_array(f"{split}_image_id", data=head.rows[split].image_id_N)
    for name, values in head.fitted.history.items():
        results.root.create_array(f"history/{name}", data=np.asarray(values, np.float64))
    place_group(results.contents(), group)


def save_run(path: Path, head: TrainedHead, device: torch.device) -> None:
    """Write what differs from run to run, and so stays out of the results: time, machine, releases, commit."""
    write_atomic(path, json_bytes({"seconds": head.seconds, "environment": {**environment(), "device": device.type}}))
