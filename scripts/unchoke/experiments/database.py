"""Stage: experiments.db, derived from the finished runs of all heads and rebuilt whenever one of them changes."""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from unchoke.cleaning.clean import of_images, read_belongings, selected
from unchoke.experiments.comparisons import compare_answers, read_answers, read_counts, read_words
from unchoke.experiments.floors import insert_floors
from unchoke.experiments.masks import NO_ENCODER, image_counts, insert_masks, patches_alone
from unchoke.experiments.parts import NOTHING, Asked, insert_parts
from unchoke.experiments.repeats import insert_repeats
from unchoke.experiments.rows import (
    insert,
    insert_comparisons,
    insert_gains,
    insert_pipelines,
    insert_readings,
    insert_run,
    insert_steps,
    new_database,
)
from unchoke.experiments.words import insert_words
from unchoke.metrics.classification import LOWER_IS_BETTER
from unchoke.metrics.counts import compare_counts
from unchoke.metrics.evaluation import Comparison, evaluate, plain_figures
from unchoke.metrics.h_mean import FIGURES as H_MEANS
from unchoke.metrics.influences import FIGURES
from unchoke.metrics.iou import MEAN_IOUS
from unchoke.metrics.positive import positive_place
from unchoke.metrics.units import DEFAULT, Bootstrap
from unchoke.names import CLASSIFICATION, IMAGE_TASKS
from unchoke.store.run_record import DETECTION, SEGMENTATION, RunRecord, find_runs

SCHEMA = Path(__file__).with_suffix(".sql")
RANKING = (*dict.fromkeys(name for task in FIGURES.values() for name in task), *MEAN_IOUS, *H_MEANS)
"""Figures that rank heads and compare them, of any task."""
_DEFAULTS = {task: next(iter(figures)) for task, figures in FIGURES.items()}
_DEFAULTS |= {SEGMENTATION: MEAN_IOUS[0], DETECTION: "h_mean"}


def build_database(
    results: Path,
    database: Path,
    task: str = CLASSIFICATION,
    metric: str = "",
    asked: Asked = NOTHING,
    bootstrap: Bootstrap = DEFAULT,
    repeats: int = 1,
) -> list[Path]:
    """Write `database` anew from all finished runs below `results`; return the groups that were left out.

    results: the dataset's folder, with manifest, heads, checkpoints, runs and seals; of masks also grids and scores. A
    group is left out where another version wrote it, where the features that it was trained on are no more, or where it
    is of another task. A mask head without scores, since it segments no images, has no figures. metric: of the config's
    ``evaluation.metric``, or ``mask_metric``, the one that ranks and compares. asked: of heads of two classes, the
    positive one and the specificity. bootstrap: for comparisons of masks. repeats: random splits, see
    ``experiments.repeats``. The new database takes the place of the old one when it is whole.
    """
    found, metric = find_runs(results), metric or _DEFAULTS[task]
    runs = [run for run in found if run.is_current and run.task == task]
    with new_database(database, SCHEMA.read_text()) as connection:
        insert(connection, "ranking", task=task, metric=metric, sign=-1 if metric in LOWER_IS_BETTER else 1)
        belongings = read_belongings(*_tables(results))
        ids = {}
        for run in runs:
            if task in IMAGE_TASKS:
                ids[run] = _insert_image_head(connection, run, belongings, asked.positive)
                insert_parts(connection, ids[run], run, belongings, asked)
                insert_steps(connection, ids[run], run)
            else:
                ids[run] = _insert_segmentation(connection, run)
        how: dict[str, tuple[Callable[[RunRecord], Any], Callable[..., Comparison | None]]] = {
            **dict.fromkeys(IMAGE_TASKS, (partial(read_answers, positive=asked.positive), compare_answers)),
            SEGMENTATION: (read_counts, partial(compare_counts, bootstrap=bootstrap)),
            DETECTION: (read_words, partial(compare_counts, bootstrap=bootstrap)),
        }
        best = _insert_comparisons(connection, {run_id: run for run, run_id in ids.items()}, metric, *how[task])
        if best and task in IMAGE_TASKS:
            insert_floors(connection, best, selected(*_tables(results)), asked.positive)
            _insert_gains(connection, ids, metric, how[task])
            if repeats > 1:
                of_id = {run_id: run for run, run_id in ids.items()}
                insert_repeats(connection, of_id, ids[best], repeats, metric, _tables(results), asked.positive)
        insert_readings(connection, results)
        insert_pipelines(connection, results)
    return [run.group for run in found if run not in runs]


def _tables(results: Path) -> tuple[Path, Path | None]:
    """The manifest, and the selection where there is one."""
    selection = results / "selection.csv"
    return results / "manifest.csv", selection if selection.exists() else None


def _insert_image_head(
    connection: sqlite3.Connection, run: RunRecord, belongings: pd.DataFrame, positive: str | None
) -> int:
    facts, settings = run.facts, run.facts["settings"]
    encoder, head = (facts["encoder"], run.seal), (settings["pool"], settings)
    temperatures = facts["temperatures"] if run.task == CLASSIFICATION else None
    run_id = insert_run(connection, run, encoder, head, facts["images"], temperatures)
    for split, figures in run.figures.items():
        for name, figure in (figures | _of_positive(run, split, belongings, positive)).items():
            insert(connection, "metrics", run_id=run_id, split=split, name=name, **figure)
    return run_id


def _of_positive(
    run: RunRecord, split: str, belongings: pd.DataFrame, positive: str | None
) -> dict[str, dict[str, float | None]]:
    """The average precision of the positive class, where the head's own figure is that of the other one."""
    if run.task != CLASSIFICATION or positive_place(run.facts["classes"], positive) != 0:
        return {}
    found = read_answers(run, positive, split)
    _, unit_N = of_images(belongings, found.image_id_N)
    figures = plain_figures(evaluate(found.label_N, found.logits_RNC, unit_N, found.readings))
    return {"average_precision": figures["average_precision"]}


def _insert_segmentation(connection: sqlite3.Connection, run: RunRecord) -> int:
    facts = run.facts
    settings = facts["encoder"] or NO_ENCODER
    seal = run.seal if facts["features_sha256"] else patches_alone(run.results)
    head = (
        "+".join(settings["pools"]),
        facts["settings"] | {"maps": settings["pools"]},
    )  # it reads what its encoder gives
    run_id = insert_run(connection, run, (settings, seal), head, image_counts(run))
    if run.scores:
        insert_masks(connection, run_id, run.scores)
    if run.scores and run.task == DETECTION:
        insert_words(connection, run_id, run.scores)
    return run_id


def _insert_comparisons(
    connection: sqlite3.Connection,
    runs: dict[int, RunRecord],
    metric: str,
    read: Callable[[RunRecord], Any],
    compare: Callable[..., Comparison | None],
) -> RunRecord | None:
    """Every run that has figures against the one whose metric is best on val, on the test images of both.

    read, compare: of the task, see ``comparisons``. Returns the best run; None where no run has figures.
    """
    query = """
        SELECT run_id FROM runs JOIN encoders USING (encoder_id) JOIN heads USING (head_id)
        JOIN ranking USING (task) JOIN metrics USING (run_id)
        WHERE split = 'val' AND metrics.name = ranking.metric
        ORDER BY ranking.sign * value DESC, encoders.name, heads.name
    """
    ranked = [run_id for (run_id,) in connection.execute(query)]
    if not ranked:
        return None
    first = runs[ranked[0]]
    belongs = selected(*_tables(first.results)).set_index("image_id")["group"]
    best = read(first)
    found = {run_id: compare(read(runs[run_id]), best, belongs, metric=metric) for run_id in ranked}
    insert_comparisons(connection, ranked[0], found)
    return first


def _insert_gains(
    connection: sqlite3.Connection, ids: dict[RunRecord, int], metric: str, how: tuple[Callable[[RunRecord], Any], Any]
) -> None:
    """Every network against the head that its classifier began with, where that head is there."""
    (read, compare), found = how, {}
    by_place = {(run.encoder, run.head): run for run in ids}
    for run, run_id in ids.items():
        start = by_place.get((run.encoder, run.facts["settings"].get("start")))
        if start:
            belongs = selected(*_tables(run.results)).set_index("image_id")["group"]
            found[run_id, ids[start]] = compare(read(run), read(start), belongs, metric=metric)
    insert_gains(connection, found)
