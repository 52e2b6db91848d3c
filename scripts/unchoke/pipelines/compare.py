"""Stage: every pipeline on the same sample, in rounds that take turns, and the table of what they took."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd

from unchoke.errors import UnchokeError
from unchoke.manifest.images import in_use
from unchoke.pipelines.accuracy import Judge, RidgeJudge
from unchoke.pipelines.entries import PIPELINES
from unchoke.pipelines.measure import Failed, run_round
from unchoke.pipelines.patches import draw_patches
from unchoke.pipelines.rounds import LEAST, Measured, prepare, rows_of, take_rounds
from unchoke.pipelines.table import Round, Row
from unchoke.pipelines.training import TRAININGS
from unchoke.pipelines.tuning import together, variants
from unchoke.pipelines.work import Work
from unchoke.store.tables import PATCH_ROW_COLUMNS

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
    with scratch_folder(work.scratch):
        pipelines = (*PIPELINES, *variants(work_on(work, sample)), *TRAININGS)
        measured = [Measured(pipeline, note=pipeline.refusal(work_on(work, sample))) for pipeline in pipelines]
        able = sum(not each.note for each in measured)
        sample = draw_sample(manifest, _affordable(work, sample, images, able * rounds, budget_s, vram_mb), seed)
        work = work_on(work, sample)
        print(f"{able} pipelines, {rounds} rounds over {len(sample):,} images of train and val", flush=True)
        prepare(measured, work)
        take_rounds(measured, rounds, work, vram_mb)
        rows = rows_of(measured, work, sample, judge)
        if best := together(pipelines, rows, len(in_use(manifest))):
            prepare_s = next(each.prepare_s for each in measured if each.pipeline.way == best.way)
            measured.append(Measured(best, prepare_s))
            take_rounds([measured[0], measured[-1]], rounds, work, vram_mb)
            rows = rows_of(measured, work, sample, judge)
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
def scratch_folder(folder: Path) -> Iterator[None]:
    """A folder that is empty at first and gone afterwards; one that a killed process left is taken over."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
