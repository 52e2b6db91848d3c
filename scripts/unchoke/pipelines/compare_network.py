"""Stage: the ways to train a network on the same sample, in rounds that take turns."""

import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from unchoke.errors import UnchokeError
from unchoke.pipelines.accuracy import Answers, Difference, difference, usable_images
from unchoke.pipelines.compare import draw_sample, fitting, scratch_folder, work_on
from unchoke.pipelines.measure import Failed, in_process, run_round
from unchoke.pipelines.network import measure_training, plan_training
from unchoke.pipelines.network_entries import network_pipelines
from unchoke.pipelines.network_work import NetworkWork
from unchoke.pipelines.rounds import Measured, prepare, rows_of, take_rounds
from unchoke.pipelines.table import ACCURACY, TRAINING, Row
from unchoke.pipelines.work import Features

_PILOT = 64


@dataclass(frozen=True)
class LogitsJudge:
    """The accuracy of a network after its training, whose logits of val stand in the place of features."""

    metric: str = ACCURACY

    def answers(self, sample: pd.DataFrame, features: Features) -> Answers | None:
        """The logits of the val images that could be read."""
        found = usable_images(sample, features.valid_N)
        if found is None:
            return None
        _, val, classes = found
        place_of = {label: place for place, label in enumerate(classes)}
        place_V = val.index.to_numpy(np.int64)
        label_V = np.array([place_of[label] for label in val["label"]])
        return Answers(place_V, label_V, features.values_ND[place_V].astype(np.float32))

    def difference(self, one: Answers | None, default: Answers | None, sample: pd.DataFrame) -> Difference:
        """As for heads."""
        return difference(one, default, sample)


def compare_network(
    work: NetworkWork, manifest: pd.DataFrame, images: int, rounds: int, budget_s: float, vram_mb: float, seed: int = 0
) -> list[Row]:
    """A row for every entry of ``network_pipelines``; the first is the config's own training.

    Arguments as of ``compare.compare_pipelines``. Where the network cannot be trained on a sample, one row says why.
    """
    with scratch_folder(work.scratch):
        try:
            return _compared(work, manifest, (images, rounds, budget_s, vram_mb), seed)
        except (Failed, UnchokeError) as error:
            return [Row(f"{work.name}: default", "", task=TRAINING, note=" ".join(str(error).split()))]


def _compared(work: NetworkWork, manifest: pd.DataFrame, asked: tuple[int, int, float, float], seed: int) -> list[Row]:
    images, rounds, budget_s, vram_mb = asked
    total = len(manifest[manifest["split"].isin(("train", "val"))])
    work = _planned(work, draw_sample(manifest, min(images, _to_plan(work)), seed), vram_mb)
    sample = draw_sample(manifest, images, seed)
    measured = [Measured(row, note=row.refusal(work_on(work, sample))) for row in network_pipelines(work)]
    able = sum(not each.note for each in measured)
    sample = draw_sample(manifest, _affordable(work, manifest, (images, seed), able * rounds, budget_s, vram_mb), seed)
    on = work_on(replace(work, share=min(1.0, len(sample) / total)), sample)
    print(f"{able} ways to train {work.name}, {rounds} rounds over {len(sample):,} images of train and val", flush=True)
    prepare(measured, on)
    take_rounds(measured, rounds, on, vram_mb, measure_training)
    return rows_of(measured, on, sample, LogitsJudge())


def _to_plan(work: NetworkWork) -> int:
    """Images of which about a half, those of train, fill a step."""
    return max(_PILOT, 2 * int(work.network["batch_size"]))


def _planned(work: NetworkWork, sample: pd.DataFrame, vram_mb: float) -> NetworkWork:
    """The work with the micro-batch that a plan would take."""
    size, _ = in_process(plan_training, network_pipelines(work)[0], work_on(work, sample), vram_mb)
    return replace(work, network_batch=size)


def _affordable(
    work: NetworkWork, manifest: pd.DataFrame, asked: tuple[int, int], epochs: int, budget_s: float, vram_mb: float
) -> int:
    """Images of the sample, by a pilot of the config's training. asked: images at most, and a seed."""
    images, seed = asked
    pilot, started = work_on(work, draw_sample(manifest, min(images, _to_plan(work)), seed)), time.perf_counter()
    took, _ = run_round(network_pipelines(work)[0], pilot, vram_mb, measure_training)
    return fitting(images, took, time.perf_counter() - started, len(pilot.rows), epochs, budget_s)
