"""Stage: experiments.db, derived from the groups of all heads and rebuilt whenever one of them changes."""

import sqlite3
from pathlib import Path

from unchoke import versions
from unchoke.cleaning.clean import read_belongings, selected
from unchoke.experiments.comparisons import compare_answers, read_answers
from unchoke.experiments.floors import insert_floors
from unchoke.experiments.parts import NOTHING, Asked, insert_parts
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
from unchoke.hashing import canonical_json
from unchoke.metrics.classification import LOWER_IS_BETTER

SCHEMA = Path(__file__).with_suffix(".sql")


def build_database(results: Path, database: Path, asked: Asked = NOTHING, metric: str = "accuracy") -> list[Path]:
    """Write `database` anew from all groups of heads below `results`; return the groups that were left out.

    results: the dataset's folder, with manifest, heads, checkpoints, runs and seals. A group is left out where
    another version wrote it, or where the features that it was trained on are no more. asked: the specificity at which
    heads of two classes are read. metric: of the config's ``evaluation.metric``, the one that ranks and compares. The
    new database takes the place of the old one when it is whole.
    """
    groups, stale = find_groups(results, versions.HEADS)
    with new_database(database, SCHEMA.read_text()) as connection:
        insert(connection, "ranking", metric=metric, sign=-1 if metric in LOWER_IS_BETTER else 1)
        belongings = read_belongings(*_tables(results))
        for group in groups:
            run_id = _insert_run(connection, results, group)
            insert_parts(connection, run_id, group, belongings, asked)
        _insert_comparisons(connection, groups, results, metric)
        if groups:
            insert_floors(connection, groups[0], selected(*_tables(results)))
        insert_readings(connection, results)
    return stale


def _tables(results: Path) -> tuple[Path, Path | None]:
    """The manifest, and the selection where there is one."""
    selection = results / "selection.csv"
    return results / "manifest.csv", selection if selection.exists() else None


def _insert_run(connection: sqlite3.Connection, results: Path, group: Path) -> int:
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
    insert_artefacts(connection, run_id, results, group)
    return run_id


def _insert_comparisons(connection: sqlite3.Connection, groups: list[Path], results: Path, metric: str) -> None:
    """Every run against the one whose metric is best on val, on the images of test that both predicted."""
    if not groups:
        return
    query = """
        SELECT encoders.name, heads.name, run_id FROM runs
        JOIN encoders USING (encoder_id) JOIN heads USING (head_id) JOIN metrics USING (run_id)
        JOIN ranking WHERE split = 'val' AND metrics.name = ranking.metric
        ORDER BY ranking.sign * value DESC, encoders.name, heads.name
    """
    runs = {(encoder, head): run_id for encoder, head, run_id in connection.execute(query)}
    places = {(group.parent.stem, group.name): group for group in groups}
    frame = selected(*_tables(results))
    belongs = frame.set_index("image_id")["group"]
    first = next(iter(runs))
    best = read_answers(places[first])
    found = {
        run_id: compare_answers(read_answers(places[name]), best, belongs, metric) for name, run_id in runs.items()
    }
    insert_comparisons(connection, "comparisons", runs[first], found)
