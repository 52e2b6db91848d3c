"""Stage: experiments.db, derived from the groups of all heads and rebuilt whenever one of them changes."""

import sqlite3
from dataclasses import asdict
from pathlib import Path

import numpy as np

from unchoke import metrics, versions
from unchoke.clean import selected
from unchoke.comparisons import compare_answers, read_answers
from unchoke.database_rows import (
    any_seal,
    facts_of,
    find_encoder,
    find_groups,
    find_head,
    insert,
    insert_artefacts,
    insert_run,
    insert_trials,
    new_database,
)
from unchoke.hashing import canonical_json
from unchoke.zarr_files import open_group

SCHEMA = Path(__file__).with_suffix(".sql")


def build_database(results: Path, database: Path) -> list[Path]:
    """Write `database` anew from all groups of heads below `results`; return the groups that were left out.

    results: the dataset's folder, with manifest, heads, checkpoints, runs and seals. A group is left out where
    another version wrote it, or where the features that it was trained on are no more. The new database takes the place
    of the old one when it is whole.
    """
    groups, stale = find_groups(results, versions.HEADS)
    with new_database(database, SCHEMA.read_text()) as connection:
        for group in groups:
            _insert_run(connection, results, group)
        _insert_comparisons(connection, groups, results)
    return stale


def _insert_run(connection: sqlite3.Connection, results: Path, group: Path) -> None:
    facts = facts_of(group)
    settings = facts["settings"]
    seal = any_seal(results, group.parent.stem, facts)
    encoder_id = find_encoder(connection, group.parent.stem, facts["encoder"], seal)
    head_id = find_head(connection, group.name, settings["pool"], settings)
    own: dict[str, object] = {
        "encoder_id": encoder_id,
        "head_id": head_id,
        "temperatures": canonical_json(facts["temperatures"]),
    }
    run_id = insert_run(connection, results, group, facts["images"], **own)
    for split, figures in facts["metrics"].items():
        for name, figure in figures.items():
            insert(connection, "metrics", run_id=run_id, split=split, name=name, **figure)
    insert_trials(connection, run_id, facts["history"])
    _insert_classes(connection, run_id, group, facts["classes"])
    insert_artefacts(connection, run_id, results, group)


def _insert_classes(connection: sqlite3.Connection, run_id: int, group: Path, classes: list[str]) -> None:
    """The table of classes on test: means over the replicates."""
    arrays = open_group(group)
    label_N, predicted_RN = np.asarray(arrays["test_label"]), np.asarray(arrays["test_logits"]).argmax(-1)
    each = [metrics.per_class(metrics.class_counts(label_N, row, len(classes))) for row in predicted_RN]
    table = {name: np.mean([one[name] for one in each], 0) for name in each[0]}
    for place, label in enumerate(classes):
        shares = {name: float(table[name][place]) for name in ("precision", "recall", "f1")}
        images = int(table["support"][place])
        insert(connection, "classes", run_id=run_id, **{"class": label}, test_images=images, **shares)


def _insert_comparisons(connection: sqlite3.Connection, groups: list[Path], results: Path) -> None:
    """Every run against the one of the best accuracy on val, image by image of test."""
    if not groups:
        return
    query = """
        SELECT encoders.name, heads.name, run_id FROM runs
        JOIN encoders USING (encoder_id) JOIN heads USING (head_id) JOIN metrics USING (run_id)
        WHERE split = 'val' AND metrics.name = 'accuracy' ORDER BY value DESC, encoders.name, heads.name
    """
    runs = {(encoder, head): run_id for encoder, head, run_id in connection.execute(query)}
    places = {(group.parent.stem, group.name): group for group in groups}
    selection = results / "selection.csv"
    frame = selected(results / "manifest.csv", selection if selection.exists() else None)
    belongs = frame.set_index("image_id")["group"]
    first = next(iter(runs))
    best = read_answers(places[first])
    for name, run_id in runs.items():
        found = compare_answers(read_answers(places[name]), best, belongs)
        values = asdict(found) if found else {"images": 0}
        insert(connection, "comparisons", run_id=run_id, best_run_id=runs[first], **values)
