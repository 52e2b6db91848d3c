"""Pipelines in rounds that take turns, and the rows of what they took."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from unchoke.errors import UnchokeError
from unchoke.pipelines.accuracy import Judge
from unchoke.pipelines.entries import Pipeline
from unchoke.pipelines.measure import Failed, Measure, measure_extraction, run_round
from unchoke.pipelines.table import UNKNOWN, Round, Row, least_times, marks, medians
from unchoke.pipelines.work import Features, Work

LEAST = 50
"""Usable images below which rates say nothing."""


@dataclass
class Measured:
    """A pipeline, and what was measured of it so far."""

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


def prepare(measured: list[Measured], work: Work) -> None:
    """Write what epochs read, of all that can run."""
    for each in measured:
        if not each.note:
            started = time.perf_counter()
            each.pipeline.prepare(work)
            each.prepare_s = time.perf_counter() - started


def take_rounds(
    measured: list[Measured], rounds: int, work: Work, vram_mb: float, measure: Measure = measure_extraction
) -> None:
    """Rounds in which all take turns, the first of them the default; who begins changes. measure: of one round."""
    for number in range(rounds):
        first = number % len(measured)
        _one_round(measured[first:] + measured[:first], measured[0], work, vram_mb, measure)
        for each in measured:
            base = next(other for other in measured if other.pipeline.task == each.pipeline.task)
            each.beside += base.rounds[-1:] if not each.note else []


def _one_round(measured: list[Measured], default: Measured, work: Work, vram_mb: float, measure: Measure) -> None:
    for each in measured:
        if each.note:
            continue
        try:
            took, features = run_round(each.pipeline, work, vram_mb, measure)
        except Failed as error:
            each.note = f"failed: {error}"
            continue
        each.rounds.append(took)
        _keep(each, features, default)
        rates = (len(work.rows) / seconds for seconds in (took.cold_s, took.warm_s))
        print(f"{each.pipeline.name}: " + " and ".join(f"{rate:,.0f}" for rate in rates) + " images/s", flush=True)


def _keep(each: Measured, features: Features, default: Measured) -> None:
    """Keep the features of the last round; of equal ones one object, for which one head is trained."""
    for known in (each.features, default.features):
        if known is not None and _equal(features, known):
            features = known
            break
    if features is not each.features:
        each.features, each.answers = features, None


def _equal(one: Features, other: Features) -> bool:
    return np.array_equal(one.valid_N, other.valid_N) and np.array_equal(one.values_ND, other.values_ND)


def rows_of(measured: list[Measured], work: Work, sample: pd.DataFrame, judge: Judge) -> list[Row]:
    """A row each. UnchokeError where the first could not be measured, or too few images can be read."""
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


def _judge(each: Measured, default: Measured, sample: pd.DataFrame, judge: Judge) -> None:
    """Train a head on the features, where those of the default differ at all."""
    if each.features is None or each.note or each.answers is not None:
        return
    same = each.features is default.features
    each.answers = default.answers if same and each is not default else judge.answers(sample, each.features)


def _row(each: Measured, first: Measured, work: Work, sample: pd.DataFrame, judge: Judge) -> Row:
    pipeline, tuned = each.pipeline, each.pipeline.tuned(work)
    told = Row(pipeline.name, pipeline.told(tuned), images=len(sample), task=pipeline.task, metric=judge.metric)
    told = replace(told, note=each.note, **pipeline.chosen(work))
    default = first.features
    if each.features is None or default is None or each.note:
        return told
    accuracy = judge.difference(each.answers, first.answers, sample)
    unreadable, expected = (int((~features.valid_N).sum()) for features in (each.features, default))
    apart = feature_difference(each.features, default)
    beside = each.beside if len(each.beside) == len(each.rounds) else []
    found = marks(unreadable, expected, apart, accuracy.low, accuracy.high, judge.metric)
    reason = [each.answers] if isinstance(each.answers, str) else []
    return replace(
        told,
        unreadable=unreadable,
        prepare_s=each.prepare_s + max(taken.compile_s for taken in each.rounds),
        **medians(each.rounds, len(sample)),
        least_times=least_times(each.rounds, beside, pipeline.compared) if beside else UNKNOWN,
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
