"""Stage: the figures of heads over random splits of the same images in experiments.db."""

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unchoke.cleaning.clean import selected
from unchoke.experiments.comparisons import TOLD_APART, holm, read_answers
from unchoke.experiments.rows import insert
from unchoke.manifest.images import in_use
from unchoke.metrics.classification import LOWER_IS_BETTER
from unchoke.metrics.evaluation import known_or_none
from unchoke.metrics.influences import scored
from unchoke.metrics.intervals import Interval
from unchoke.metrics.positive import positive_place
from unchoke.metrics.repeats import OverSplits, over_splits
from unchoke.store.run_record import RunRecord
from unchoke.store.zarr_bytes import METADATA


@dataclass(frozen=True)
class Repeat:
    """A head on one of the splits."""

    value: float = math.nan
    """On test, of the metric that ranks."""
    accuracy: float | None = None
    train_images: int | None = None
    """From which it learns, or from which its few shots are drawn."""
    test_images: int | None = None
    failed: str | None = None
    """Why it does not count."""


def insert_repeats(
    connection: sqlite3.Connection,
    runs: Mapping[int, RunRecord],
    best_run_id: int,
    repeats: int,
    metric: str,
    tables: tuple[Path, Path | None],
    positive: str | None = None,
) -> None:
    """The tables ``split_repeats`` and ``over_splits``, of every run on `repeats` splits, the first that of its own.

    runs: by run_id. best_run_id: the one whose metric is best on val of the first split; others are compared with it
    on the splits that count for both. metric: of the config's ``evaluation.metric``. tables: manifest and selection.
    positive: of two classes, see ``metrics.positive``.
    """
    few_shot = any(run.facts["settings"].get("shots") for run in runs.values())
    pools = [_train_images(tables, repeat) if few_shot else 0 for repeat in range(repeats)]
    found = {
        run_id: [read_repeat(replace(run, repeat=repeat), metric, pools[repeat], positive) for repeat in range(repeats)]
        for run_id, run in runs.items()
    }
    for run_id, splits in found.items():
        for repeat, one in enumerate(splits):
            values = vars(one) | {"value": known_or_none(one.value)}
            insert(connection, "split_repeats", run_id=run_id, repeat=repeat, **values)
    most = math.inf if metric in LOWER_IS_BETTER else 1.0
    against = {run_id: _difference(splits, found[best_run_id], most) for run_id, splits in found.items()}
    p_values = [math.nan if run_id == best_run_id else one.p_value for run_id, one in against.items()]
    for (run_id, splits), p_adjusted in zip(found.items(), holm(p_values), strict=True):
        counted = [one for one in splits if one.failed is None]
        mean = over_splits(_values(counted), _test_per_train(counted), 0.0, most)
        row = {"repeats": repeats, "counted": len(counted), "sd": known_or_none(mean.sd)} | _columns("mean", mean)
        if run_id != best_run_id:
            row |= _columns("difference", against[run_id]) | {"p_adjusted": known_or_none(p_adjusted)}
            row |= {"p_value": known_or_none(against[run_id].p_value)}
            row |= {"told_apart": None if math.isnan(p_adjusted) else int(p_adjusted < TOLD_APART)}
        insert(connection, "over_splits", run_id=run_id, **row)


def _train_images(tables: tuple[Path, Path | None], repeat: int) -> int:
    """Images in train of a repeat, readable or not."""
    splits = tables[0].parent / "repeats" / f"{repeat}.csv" if repeat else None
    return int((in_use(selected(*tables, splits))["split"] == "train").sum())


def read_repeat(run: RunRecord, metric: str, pool: int, positive: str | None = None) -> Repeat:
    """The figures of a run on its split, or why it does not count. pool: images from which few shots are drawn."""
    if not (run.group / METADATA).exists() or not run.is_current:
        return Repeat(failed="it has not been trained on the features of now")
    facts = run.facts
    if "failed" in facts:
        return Repeat(failed=facts["failed"])
    value, accuracy = (run.figures["test"][name]["value"] for name in (metric, "accuracy"))
    if metric == "average_precision" and positive_place(facts["classes"], positive) == 0:
        found = read_answers(run, positive)  # the head's own figure is that of the other class
        value = known_or_none(float(scored(metric, found.label_N, found.logits_RNC, found.readings).value_R.mean()))
    images, settings = facts["images"], facts["settings"]
    train = pool if settings.get("shots") else images["train"] + (images["val"] if settings.get("refit") else 0)
    failed = f"{metric} cannot be known" if value is None else None
    return Repeat(math.nan if value is None else value, accuracy, train, images["test"], failed)


def _values(repeats: Sequence[Repeat]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([one.value for one in repeats], np.float64)


def _test_per_train(repeats: Sequence[Repeat]) -> float:
    """n_test / n_train, on average over the splits; NaN where there is none."""
    ratios = [one.test_images / one.train_images for one in repeats if one.test_images and one.train_images]
    return sum(ratios) / len(ratios) if ratios else math.nan


def _difference(one: Sequence[Repeat], best: Sequence[Repeat], most: float) -> OverSplits:
    """The first head less the best, split by split."""
    both = [pair for pair in zip(one, best, strict=True) if all(repeat.failed is None for repeat in pair)]
    value_R = np.array([first.value - second.value for first, second in both], np.float64)
    found = over_splits(value_R, _test_per_train([first for first, _ in both]), -most, most)
    if len(both) > 1 and not value_R.any():  # equal on every split
        return found._replace(interval=Interval(0.0, 0.0), p_value=1.0)
    return found


def _columns(name: str, found: OverSplits) -> dict[str, float | None]:
    low, high = found.interval
    return {
        column: known_or_none(value)
        for column, value in zip((name, f"{name}_low", f"{name}_high"), (found.mean, low, high), strict=True)
    }
