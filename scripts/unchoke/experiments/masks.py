"""Stage: the rows of mask heads in experiments.db: figures, classes, and how patches were stitched."""

import sqlite3
from pathlib import Path
from typing import Any

from unchoke.experiments.rows import insert
from unchoke.machine.receipts import read_json
from unchoke.metrics.iou import FIGURES
from unchoke.names import PIXELS, SPLITS
from unchoke.store.run_record import RunRecord

REGIONS = ("iou", "dice", "hd95")
NO_ENCODER: dict[str, Any] = {
    "model": "none",
    "trained": False,
    "weights_sha256": "",
    "image_size": 0,
    "pools": [PIXELS],
}
"""In the place of an encoder's settings, for heads that see pixels."""


def image_counts(run: RunRecord) -> dict[str, int]:
    """Images in use by split; of val and test those that the figures are of, where there are any."""
    splits = [grid["split"] for grid in read_json(run.results / "grids.json").values()]
    counts = {split: splits.count(split) for split in SPLITS}
    if run.scores:
        whole = [image["split"] for image in run.scores["images"].values() if not image["unread_px"]]
        counts |= {split: whole.count(split) for split in run.figures}
    return counts


def patches_alone(results: Path) -> dict[str, Any]:
    """The number of patches, in the form of a seal, for heads that read no features."""
    grids = read_json(results / "grids.json").values()
    return {"images": sum(grid["rows"] * grid["columns"] for grid in grids), "invalid": []}


def insert_masks(connection: sqlite3.Connection, run_id: int, scores: dict[str, Any]) -> None:
    """The rows of a mask head in ``metrics``, ``regions`` and ``stitching``, from its scores."""
    for split, figures in scores["figures"].items():
        for name in FIGURES:
            insert(connection, "metrics", run_id=run_id, split=split, name=name, **figures[name])
        for label in scores["classes"]:
            regions = [_region(name, figures[f"{name}.{label}"]) for name in REGIONS if f"{name}.{label}" in figures]
            values: dict[str, Any] = {key: value for region in regions for key, value in region.items()}
            values |= {"class": label, "hd95_undefined": undefined_distances(scores, split, label)}
            insert(connection, "regions", run_id=run_id, split=split, **values)
    how = {name: scores[name] for name in ("blend", "exact", "reach_px", "halo_px")}
    insert(connection, "stitching", run_id=run_id, **how, disagreement=disagreement(scores))


def undefined_distances(scores: dict[str, Any], split: str, label: str) -> int | None:
    """Images of a split that have no HD95 of a class; None where none was asked for."""
    images = [image["hd95_px"] for image in scores["images"].values() if image["split"] == split and "hd95_px" in image]
    return sum(image[label] is None for image in images) if images else None


def _region(name: str, figure: dict[str, float | None]) -> dict[str, float | None]:
    return {name: figure["value"], f"{name}_low": figure["low"], f"{name}_high": figure["high"]}


def disagreement(scores: dict[str, Any]) -> float | None:
    """Share of the pixels with several patches for which these predict different classes; None: no such pixel."""
    differ, shared = (sum(image[name] for image in scores["images"].values()) for name in ("differ_px", "shared_px"))
    return differ / shared if shared else None
