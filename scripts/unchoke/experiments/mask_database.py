"""Stage: experiments.db of images with masks, derived from the groups of all mask heads and their scores."""

import sqlite3
from pathlib import Path
from typing import Any

from unchoke import versions
from unchoke.experiments import database
from unchoke.experiments.comparisons import compare_masks, read_counts
from unchoke.experiments.rows import (
    any_seal,
    facts_of,
    find_encoder,
    find_groups,
    find_head,
    insert,
    insert_artefacts,
    insert_comparisons,
    insert_readings,
    insert_run,
    insert_trials,
    new_database,
)
from unchoke.machine.receipts import read_json
from unchoke.metrics.evaluation import DEFAULT, Bootstrap
from unchoke.metrics.iou import FIGURES, MEAN_IOUS
from unchoke.names import PIXELS, SPLITS
from unchoke.signed import read_signed
from unchoke.store import tables

SCHEMA = Path(__file__).with_suffix(".sql")
REGIONS = ("iou", "dice", "hd95")
_NO_ENCODER: dict[str, Any] = {
    "model": "none",
    "trained": False,
    "weights_sha256": "",
    "image_size": 0,
    "pools": [PIXELS],
}


def build_mask_database(
    results: Path, path: Path, bootstrap: Bootstrap = DEFAULT, metric: str = MEAN_IOUS[0]
) -> list[Path]:
    """Write the database `path` anew from all mask heads below `results`; return the groups that were left out.

    results: the dataset's folder, with manifest, grids, heads, checkpoints, runs, scores and seals. A group is left out
    where another version wrote it, or where the features that it was trained on are no more; one that has no scores,
    since it segments no images, has no figures. metric: of ``iou.MEAN_IOUS``, the one that ranks and compares.
    The new database takes the place of the old one when it is whole.
    """
    groups, stale = find_groups(results, versions.MASK_HEADS)
    with new_database(path, database.SCHEMA.read_text() + SCHEMA.read_text()) as connection:
        insert(connection, "mask_metric", name=metric)
        for group in groups:
            _insert_group(connection, results, group)
        _insert_comparisons(connection, results, bootstrap, metric)
        insert_readings(connection, results)
    return stale


def scores_file(results: Path, encoder: str, head: str) -> Path:
    """Where the scores of a mask head lie."""
    return results / "scores" / encoder / f"{head}.json"


def _insert_group(connection: sqlite3.Connection, results: Path, group: Path) -> None:
    encoder, head, facts = group.parent.stem, group.name, facts_of(group)
    settings = facts["encoder"] or _NO_ENCODER
    seal = any_seal(results, encoder, facts) if facts["features_sha256"] else _patches_alone(results)
    maps = {"maps": settings["pools"]}  # a head reads what its encoder gives
    encoder_id = find_encoder(connection, encoder, settings, seal)
    head_id = find_head(connection, head, "+".join(settings["pools"]), facts["settings"] | maps)
    scores = scores_file(results, encoder, head)
    found = read_signed(scores, "scores file of a mask head") if scores.exists() else None
    images = _image_counts(results, found)
    run_id = insert_run(connection, results, group, images, encoder_id=encoder_id, head_id=head_id)
    insert_trials(connection, run_id, facts["history"])
    insert_artefacts(connection, run_id, results, group)
    if found:
        _insert_scores(connection, run_id, found)


def _image_counts(results: Path, scores: dict[str, Any] | None) -> dict[str, int]:
    """Images in use by split; of val and test those that the figures are of, where there are any."""
    splits = [grid["split"] for grid in read_json(results / "grids.json").values()]
    counts = {split: splits.count(split) for split in SPLITS}
    if scores:
        whole = [image["split"] for image in scores["images"].values() if not image["unread_px"]]
        counts |= {split: whole.count(split) for split in scores["figures"]}
    return counts


def _patches_alone(results: Path) -> dict[str, Any]:
    """What the seal of features would say of the patches, where there are none."""
    grids = read_json(results / "grids.json").values()
    return {"images": sum(grid["rows"] * grid["columns"] for grid in grids), "invalid": []}


def _insert_scores(connection: sqlite3.Connection, run_id: int, scores: dict[str, Any]) -> None:
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
    """Share of the pixels that several patches show for which these named different classes; None: there are none."""
    differ, shared = (sum(image[name] for image in scores["images"].values()) for name in ("differ_px", "shared_px"))
    return differ / shared if shared else None


def _insert_comparisons(connection: sqlite3.Connection, results: Path, bootstrap: Bootstrap, metric: str) -> None:
    """Every run that has scores against the one whose `metric` is best on val, on the same test images."""
    query = """
        SELECT encoders.name, heads.name, run_id FROM runs
        JOIN encoders USING (encoder_id) JOIN heads USING (head_id) JOIN metrics USING (run_id)
        WHERE split = 'val' AND metrics.name = ? ORDER BY value DESC, encoders.name, heads.name
    """
    runs = {
        scores_file(results, encoder, head): run_id for encoder, head, run_id in connection.execute(query, [metric])
    }
    if not runs:
        return
    belongs = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS).set_index("image_id")["group"]
    first = next(iter(runs))
    best = read_counts(first)
    found = {
        run_id: compare_masks(read_counts(scores), best, belongs, bootstrap, metric) for scores, run_id in runs.items()
    }
    insert_comparisons(connection, "mask_comparisons", runs[first], found)
