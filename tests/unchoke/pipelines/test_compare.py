"""Pipelines side by side on small JPEGs, in processes of their own; and what is drawn for them."""

import dataclasses
import importlib.util
import json
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unchoke.encoders.encoder import Encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.pipelines import compare, measure, tuning
from unchoke.pipelines.compare import compare_pipelines, draw_sample, fitting, work_on
from unchoke.pipelines.entries import PIPELINES
from unchoke.pipelines.flags import ended_by_signals
from unchoke.pipelines.measure import Failed, run_round
from unchoke.pipelines.rounds import LEAST
from unchoke.pipelines.table import EXTRACTION, TRAINING, Round
from unchoke.pipelines.training import TRAININGS
from unchoke.pipelines.tuning import TOGETHER, variants
from unchoke.pipelines.work import Work
from unchoke.report.pipelines import draw_pipelines, table_text
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

PER_CLASS = 40


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Light and dark JPEGs; one is cut short, one is text, and one is no longer there."""
    folder, rng = tmp_path_factory.mktemp("pipelines"), np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 180)):
        (folder / "images" / label).mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = (level + rng.integers(-50, 50, (60, 70, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / label / f"{number}.jpg")
    split = SplitSettings(seed=0, val=0.3, test=0.1)
    build_manifest("folder", folder / "images", None, split, 16, folder / "manifest.csv", folder / "rows")
    paths = [folder / "images" / path for path in manifest_of(folder).query("split == 'train'")["path"]]
    paths[0].write_bytes(paths[0].read_bytes()[:300])
    paths[1].write_text("no picture")
    paths[2].unlink()
    fetch_weights("test_resnet", "untrained", 0, folder / "weights.safetensors", folder / "card.json")
    given_files = folder / "weights.safetensors", folder / "card.json", 32, "avg", "cpu", "float32"
    return Work("folder", folder / "images", pd.DataFrame(), *given_files, Extraction(16, 8), 1, folder / "scratch")


def manifest_of(folder: Path) -> pd.DataFrame:
    return read_table(folder / "manifest.csv", MANIFEST_COLUMNS)


def test_every_pipeline_does_the_same_work_and_leaves_nothing_behind(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "why_eager", lambda device: "there is no C++ compiler")  # compiling takes 12 s or more
    monkeypatch.setattr(tuning, "FACTORS", (0.25, 2))  # each has a process of its own
    rows = compare_pipelines(work, manifest_of(work.root.parent), 1000, 1, 600, 1000)
    tried = ["batches of 2", "batches of 16", "compiled"]
    assert [row.pipeline for row in rows if row.pipeline != TOGETHER] == [
        *(each.name for each in PIPELINES),
        *tried,
        *(each.name for each in TRAININGS),
    ]
    trained = {row.pipeline: row for row in rows if row.task == TRAINING}
    assert len(trained) == 2 and not any(row.decoding or row.encoder or row.network for row in trained.values())
    names = {row.pipeline: row for row in rows}
    there = [row for row in rows if row.measured]
    missing = {"NVIDIA DALI", "compiled"}
    missing |= {each.name for each in PIPELINES if each.package and importlib.util.find_spec(each.package) is None}
    assert {row.pipeline: bool(row.note) for row in rows if not row.measured} == dict.fromkeys(missing, True)
    assert {row.images for row in rows} == {72} and {row.unreadable for row in there} == {3}
    assert not [row for row in there if row.differs or row.accuracy != there[0].accuracy]
    draft = names["threads over files, JPEG draft"]  # 60 px are not twice what is needed: nothing is scaled down
    assert max(row.feature_difference for row in there) <= 2**-11 and draft.feature_difference == 0
    encoders = [json.loads(row.encoder) for row in rows if row.pipeline in tried]
    assert [keys["micro_batch"] for keys in encoders[:2]] == [2, 16] and encoders[2]["compile"] == "on"
    assert json.loads(rows[0].encoder) == {"micro_batch": 8, "precision": "float32", "compile": "off"}
    assert all(row.cold_s > 0 and row.warm_s > 0 and row.cpu_s > 0 and row.peak_mb > 50 for row in there)
    assert not work.scratch.exists()
    own = psutil.Process()
    assert {child.ppid() for child in own.children(recursive=True)} <= {own.pid}  # the server of processes is left
    assert all(row.pipeline in table_text(rows) for row in rows)
    labels = [text.get_text() for text in draw_pipelines(rows, "decoding:\n").axes[0].get_yticklabels()]
    assert labels == [row.pipeline for row in there if row.task == EXTRACTION]


def test_a_sample_never_has_test_images_and_is_the_same_again(work: Work) -> None:
    manifest = manifest_of(work.root.parent)
    for images in (50, 60, 1000):
        sample = draw_sample(manifest, images, 0)
        assert len(sample) == min(images, 72) and set(sample["split"]) == {"train", "val"}
        assert sample.equals(draw_sample(manifest, images, 0)) and sample["image_id"].is_unique
    with pytest.raises(UnchokeError, match=f"(?s)49 usable.*at least {LEAST}"):
        draw_sample(manifest[manifest["split"] != "test"].head(49), 1000, 0)


@pytest.mark.parametrize(("name", "told"), [("SPDL", "rows of arrays"), ("PyTorch DataLoader", "rows of arrays")])
def test_what_needs_files_says_so(work: Work, name: str, told: str) -> None:
    arrays = Work(**{**vars(work), "kind": "npy"})
    [pipeline] = [pipeline for pipeline in PIPELINES if pipeline.name == name]
    assert told in pipeline.refusal(arrays)


def test_what_is_not_installed_or_no_jpeg_says_so(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    sample = work_on(work, manifest_of(work.root.parent))
    said = {each.name: each.refusal(sample) for each in PIPELINES}
    assert said["threads over files, simplejpeg"] == "the package simplejpeg is not installed: pip install simplejpeg"
    assert "webdataset" in said["WebDataset"] and not said["threads over files"]
    of_pngs = work_on(work, manifest_of(work.root.parent).assign(path="a.png"))
    assert {each.refusal(of_pngs) for each in PIPELINES[1:4]} == {"no image of the sample is a JPEG"}


@pytest.mark.parametrize("signalled", [False, True])
def test_an_interruption_leaves_nothing_behind(work: Work, signalled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        assert work.scratch.is_dir()
        os.kill(os.getpid(), signal.SIGTERM if signalled else signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(compare, "run_round", interrupted)
    with pytest.raises((KeyboardInterrupt, SystemExit)) as end, ended_by_signals():
        compare_pipelines(work, manifest_of(work.root.parent), 1000, 1, 600, 1000)
    assert not work.scratch.exists() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert not signalled or end.value.code == 143


@given(st.integers(50, 10_000), st.floats(1e-4, 1.0), st.floats(0, 9), st.integers(1, 60), st.floats(1, 3600))
def test_a_sample_fits_the_time(images: int, an_image_s: float, start_s: float, epochs: int, budget_s: float) -> None:
    pilot = Round(64 * an_image_s, 64 * an_image_s, 0, 0)
    found = fitting(images, pilot, 128 * an_image_s + start_s, 64, epochs, budget_s)
    assert LEAST <= found <= images
    assert found == LEAST or (2 * found * an_image_s + start_s) * epochs <= budget_s * 1.001


def test_a_compiled_encoder_is_made_before_the_epochs_and_timed(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiler(encoder: Encoder, micro_batch: int) -> Encoder:
        time.sleep(0.05)
        return dataclasses.replace(encoder, compiled=encoder.forward, compiled_threads=micro_batch)

    monkeypatch.setattr(measure, "compile_encoder", compiler)
    own = work_on(work, manifest_of(work.root.parent).head(60))
    compiled = next(each for each in variants(own) if each.name == "compiled").tuned(own)
    encoder, compile_s = measure.ready(compiled, 4096)
    assert encoder.compiled_threads == 8 and 0.05 <= compile_s < 5
    encoder, compile_s = measure.ready(own, math.inf)
    assert encoder.compiled is None and compile_s == 0


def test_a_batch_beyond_the_budget_says_so(work: Work) -> None:
    sample = manifest_of(work.root.parent).head(60)
    pipeline = next(each for each in variants(work_on(work, sample)) if each.name == "batches of 16")
    with pytest.raises(Failed, match=r"a peak of \d+ MB with batches of 16, more than 90% of gpu.vram_mb allow"):
        run_round(pipeline, work_on(work, sample), 20)
