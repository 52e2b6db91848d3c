"""Stage: every pipeline on the same sample, in rounds that take turns, and the table of what they took."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unchoke.errors import UnchokeError
from unchoke.manifest.images import in_use
from unchoke.pipelines.accuracy import Judge, RidgeJudge
from unchoke.pipelines.entries import PIPELINES, Pipeline
from unchoke.pipelines.measure import Failed, run_round
from unchoke.pipelines.patches import draw_patches
from unchoke.pipelines.table import UNKNOWN, Round, Row, least_times, marks, medians
from unchoke.pipelines.training import TRAININGS
from unchoke.pipelines.tuning import together, variants
from unchoke.pipelines.work import Features, Work
from unchoke.store.tables import PATCH_ROW_COLUMNS

LEAST = 50
"""Usable images below which rates say nothing."""
ROOM_BYTES = 2**27
"""For the features of one pipeline; maps of patches are large."""
_PILOT = 64
_SPLITS = ("train", "val")


def draw_sample(manifest: pd.DataFrame, images: int, seed: int) -> pd.DataFrame:
    """At most `images` rows of train and val, up to half of them of val, in the order of the manifest; of a table of
    patches they are those of a few images.

    Never of test. UnchokeError where fewer than ``LEAST`` can be used.
    """
    usable = in_use(manifest)
    parts = {split: usable[usable["split"] == split] for split in _SPLITS}
    if (there := sum(map(len, parts.values()))) < LEAST:
        raise UnchokeError(
            "There are too few images to measure a pipeline with.",
            found=f"{there} usable images in train and val",
            expected=f"at least {LEAST}",
            do="measure on a larger dataset; test images are never used",
        )
    draw = draw_patches if "of_image" in manifest else _draw_images
    n_val = min(len(parts["val"]), max(images // 2, images - len(parts["train"])))
    wanted = {"train": min(len(parts["train"]), images - n_val), "val": n_val}
    drawn = [draw(part, wanted[split], seed) for split, part in parts.items()]
    return pd.concat(drawn).sort_index().reset_index(drop=True)


def _draw_images(part: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    return part.sample(count, random_state=seed)


def work_on(work: Work, sample: pd.DataFrame) -> Work:
    """The work with the images of a sample."""
    if work.strides:
        rows = sample[list(PATCH_ROW_COLUMNS)].reset_index(drop=True)
    else:
        rows = sample[["path", "size_bytes", "mtime_ns"]].copy()
        rows.insert(0, "image_id", range(len(rows)))
    size = min(work.settings.chunk_size, len(rows))
    labels = sample[["label", "split", "group"]].reset_index(drop=True)
    return replace(work, rows=rows, labels=labels, settings=replace(work.settings, chunk_size=size))


def fitting(images: int, pilot: Round, pilot_s: float, piloted: int, epochs: int, budget_s: float) -> int:
    """How many images, at most `images` and at least ``LEAST``, all rounds can see within the budget.

    pilot: of the default on `piloted` images, which took `pilot_s` with the start of its process; the others are taken
    to be as fast. epochs: pipelines times rounds.
    """
    seen_s = pilot.cold_s + pilot.warm_s
    left_s = budget_s - epochs * max(0.0, pilot_s - seen_s)
    return max(LEAST, min(images, int(left_s / (seen_s / piloted * epochs))))


@dataclass
class _Measured:
    pipeline: Pipeline
    prepare_s: float = float("nan")
    rounds: list[Round] = field(default_factory=list)
    beside: list[Round] = field(default_factory=list)
    """Those of the first pipeline of the same task in the same rounds."""
    features: Features | None = None
    """The object of the default where they are equal."""
    note: str = ""
    answers: Any = None
    """Of a head on the features, once it was trained."""


def compare_pipelines(
    work: Work,
    manifest: pd.DataFrame,
    images: int,
    rounds: int,
    budget_s: float,
    vram_mb: float,
    seed: int = 0,
    judge: Judge | None = None,
) -> list[Row]:
    """A row for every entry of ``PIPELINES``, ``tuning.variants`` and ``TRAININGS``; the first is the default.

    Where winners of several kinds can be had together, a last row has them, in rounds of its own beside the default.
    work: without its rows. manifest: or a table of ``patches_in_use``, which is then judged by a `judge` of masks;
    None: by a ridge head. images, budget_s: of the sample, which is made smaller where the rounds would take longer.
    UnchokeError where there are too few images, or the default cannot be measured.
    """
    sample, judge = draw_sample(manifest, images, seed), judge or RidgeJudge()
    with _scratch(work.scratch):
        pipelines = (*PIPELINES, *variants(work_on(work, sample)), *TRAININGS)
        measured = [_Measured(pipeline, note=pipeline.refusal(work_on(work, sample))) for pipeline in pipelines]
        able = sum(not each.note for each in measured)
        sample = draw_sample(manifest, _affordable(work, sample, images, able * rounds, budget_s, vram_mb), seed)
        work = work_on(work, sample)
        print(f"{able} pipelines, {rounds} rounds over {len(sample):,} images of train and val", flush=True)
        _prepare(measured, work)
        _take_rounds(measured, rounds, work, vram_mb)
        rows = _rows(measured, work, sample, judge)
        if best := together(pipelines, rows, len(in_use(manifest))):
            prepare_s = next(each.prepare_s for each in measured if each.pipeline.way == best.way)
            measured.append(_Measured(best, prepare_s))
            _take_rounds([measured[0], measured[-1]], rounds, work, vram_mb)
            rows = _rows(measured, work, sample, judge)
    return rows


def _affordable(work: Work, sample: pd.DataFrame, images: int, epochs: int, budget_s: float, vram_mb: float) -> int:
    """Images of the sample, by a pilot of the default."""
    pilot, started = work_on(work, sample.head(_PILOT)), time.perf_counter()
    try:
        took, features = run_round(PIPELINES[0], pilot, vram_mb)
    except Failed as error:
        raise UnchokeError("The default pipeline cannot be measured.", found=str(error)) from None
    images = max(LEAST, min(images, ROOM_BYTES * len(pilot.rows) // features.values_ND.nbytes))
    return fitting(images, took, time.perf_counter() - started, len(pilot.rows), epochs, budget_s)


@contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    """A folder that is empty at first and gone afterwards; one that a killed process left is taken over."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(measured: list[_Measured], work: Work) -> None:
    for each in measured:
        if not each.note:
            started = time.perf_counter()
            each.pipeline.way.prepare(work)
            each.prepare_s = time.perf_counter() - started


def _take_rounds(measured: list[_Measured], rounds: int, work: Work, vram_mb: float) -> None:
    """Rounds in which all take turns, the first of them the default; who begins changes."""
    for number in range(rounds):
        first = number % len(measured)
        _one_round(measured[first:] + measured[:first], measured[0], work, vram_mb)
        for each in measured:
            base = next(other for other in measured if other.pipeline.task == each.pipeline.task)
            each.beside += base.rounds[-1:] if not each.note else []


def _one_round(measured: list[_Measured], default: _Measured, work: Work, vram_mb: float) -> None:
    for each in measured:
        if each.note:
            continue
        try:
            took, features = run_round(each.pipeline, work, vram_mb)
        except Failed as error:
            each.note = f"failed: {error}"
            continue
        each.rounds.append(took)
        _keep(each, features, default)
        rates = (len(work.rows) / seconds for seconds in (took.cold_s, took.warm_s))
        print(f"{each.pipeline.name}: " + " and ".join(f"{rate:,.0f}" for rate in rates) + " images/s", flush=True)


def _keep(each: _Measured, features: Features, default: _Measured) -> None:
    """Keep the features of the last round; of equal ones one object, for which one head is trained."""
    for known in (each.features, default.features):
        if known is not None and _equal(features, known):
            features = known
            break
    if features is not each.features:
        each.features, each.answers = features, None


def _equal(one: Features, other: Features) -> bool:
    return np.array_equal(one.valid_N, other.valid_N) and np.array_equal(one.values_ND, other.values_ND)


def _rows(measured: list[_Measured], work: Work, sample: pd.DataFrame, judge: Judge) -> list[Row]:
    default = measured[0].features
    if default is None or measured[0].note:
        raise UnchokeError("The default pipeline cannot be measured.", found=measured[0].note)
    if (readable := int(default.valid_N.sum())) < LEAST:
        raise UnchokeError(
            "There are too few images to measure a pipeline with.",
            found=f"{readable} of {len(sample)} can be read",
            expected=f"at least {LEAST}",
        )
    for each in measured:
        _judge(each, measured[0], sample, judge)
    return [_row(each, measured[0], work, sample, judge) for each in measured]


def _judge(each: _Measured, default: _Measured, sample: pd.DataFrame, judge: Judge) -> None:
    """Train a head on the features, where those of the default differ at all."""
    if each.features is None or each.note or each.answers is not None:
        return
    same = each.features is default.features
    each.answers = default.answers if same and each is not default else judge.answers(sample, each.features)


def _row(each: _Measured, first: _Measured, work: Work, sample: pd.DataFrame, judge: Judge) -> Row:
    pipeline, tuned = each.pipeline, each.pipeline.tuned(work)
    keys = pipeline.keys(work)
    chosen = ("", "") if keys is None else (json.dumps(keys), json.dumps(tuned.keys()))
    told = Row(pipeline.name, pipeline.told(tuned), *chosen, len(sample), task=pipeline.task, metric=judge.metric)
    told = replace(told, note=each.note)
    default = first.features
    if each.features is None or default is None or each.note:
        return told
    accuracy = judge.difference(each.answers, first.answers, sample)
    unreadable, expected = (int((~features.valid_N).sum()) for features in (each.features, default))
    apart = feature_difference(each.features, default)
    found = marks(unreadable, expected, apart, accuracy.low, accuracy.high, judge.metric)
    reason = [each.answers] if isinstance(each.answers, str) else []
    return replace(
        told,
        unreadable=unreadable,
        prepare_s=each.prepare_s + max(taken.compile_s for taken in each.rounds),
        **medians(each.rounds, len(sample)),
        least_times=least_times(each.rounds, each.beside) if len(each.beside) == len(each.rounds) else UNKNOWN,
        feature_difference=apart,
        accuracy=accuracy.accuracy,
        accuracy_difference=accuracy.difference,
        low=accuracy.low,
        high=accuracy.high,
        differs=bool(found),
        note="; ".join([*found, *reason]),
    )


def feature_difference(one: Features, default: Features) -> float:
    """Norm of the difference over the norm of the default's, of the images that both could read."""
    both_N = one.valid_N & default.valid_N
    ours_ND, theirs_ND = (each.values_ND[both_N].astype(np.float32) for each in (one, default))  # float16 overflows
    norm = float(np.linalg.norm(theirs_ND))
    if not both_N.any() or norm == 0:
        return float("nan")
    return float(np.linalg.norm(ours_ND - theirs_ND)) / norm
