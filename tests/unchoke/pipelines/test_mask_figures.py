"""Heads on the maps of a sample of patches, whose maps show the answer, or do not."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from unchoke.config.detection import Detection as Section
from unchoke.encoders.encoder import load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.features.chunk import Extraction
from unchoke.images.grid import Grid
from unchoke.pipelines.entries import PIPELINES
from unchoke.pipelines.mask_figures import NO_WORDS, Detection, MaskJudge, stitched
from unchoke.pipelines.work import Features, Work
from unchoke.text.score import Settings

SIZE, IMAGES = 32, 12


@dataclass
class Labels:
    """As a sealed store."""

    arrays: dict[str, Any]
    seal: dict[str, Any] = field(default_factory=lambda: {"settings": {"classes": [["no", [0]], ["yes", [1]]]}})

    def rows(self, name: str, ids: Any) -> Any:
        return self.arrays[name][ids]

    def valid(self) -> Any:
        return np.ones(len(self.arrays["mask"]), bool)


def sample_of() -> pd.DataFrame:
    sample = pd.DataFrame({"patch_id": range(IMAGES), "image_id": range(IMAGES), "of_image": 1, "group": ""})
    sides = {"y0": 0, "x0": 0, "height": SIZE, "width": SIZE}
    return sample.assign(split=["train", "val"] * (IMAGES // 2), **sides)


@pytest.fixture
def judge() -> MaskJudge:
    mask = np.zeros((IMAGES, SIZE, SIZE), np.uint8)
    mask[:, 8:24, 4:28] = 1
    labels: Any = Labels({"mask": mask, "threshold": np.full_like(mask, 255)})
    return MaskJudge(labels, (4,), torch.device("cpu"))


def maps_of(judge: MaskJudge, shown: bool) -> Features:
    """Two channels at stride 4: the class, and noise; or noise alone."""
    values = np.random.default_rng(0).normal(size=(IMAGES, 2, SIZE // 4, SIZE // 4))
    if shown:
        values[:, 0] = judge.labels.rows("mask", np.arange(IMAGES))[:, ::4, ::4]
    shape = values.shape[1:]
    return Features(values.reshape(IMAGES, -1).astype(np.float16), np.ones(IMAGES, bool), (shape,))


def test_maps_that_show_less_have_a_lower_mean_iou_beyond_its_interval(judge: MaskJudge) -> None:
    sample = sample_of()
    good, bad = (judge.answers(sample, maps_of(judge, shown)) for shown in (True, False))
    found = judge.difference(bad, good, sample)
    assert judge.metric == "mean_iou" and found.high < 0
    assert judge.difference(good, good, sample)[1:] == (0, 0, 0)
    assert not isinstance(good, str) and good.counts_I.sum() == IMAGES // 2 * SIZE**2
    assert good.image_id_I.tolist() == list(range(1, IMAGES, 2))  # val alone


@pytest.mark.parametrize("ignored", [0, 1])
def test_words_have_their_h_mean_and_none_where_no_word_counts(judge: MaskJudge, ignored: int) -> None:
    box = "4 8 28 8 28 24 4 24"
    words = pd.DataFrame({"image_id": range(IMAGES), "polygon": box, "ignored": ignored})
    settings = Settings(**Section().model_dump())
    of_words = MaskJudge(judge.labels, judge.strides, judge.device, Detection(words, settings))
    sample = sample_of()
    found = of_words.answers(sample, maps_of(judge, True))
    assert of_words.metric == "h_mean"
    if ignored:
        assert found == NO_WORDS and np.isnan(of_words.difference(found, found, sample)).all()
    else:
        assert not isinstance(found, str) and found.counts_I[:, 2].tolist() == [1] * (IMAGES // 2)


def test_without_a_whole_image_of_val_nothing_is_known(judge: MaskJudge) -> None:
    found = judge.answers(sample_of().assign(of_image=2), maps_of(judge, True))
    assert isinstance(found, str) and "no whole image of val" in found


def test_a_map_is_the_mean_of_its_patches() -> None:
    rows = pd.DataFrame({"y0": [0, 0], "x0": [0, 2], "height": 3, "width": [4, 3]})
    found = stitched(rows, np.stack([np.full((4, 4), 0.2), np.full((4, 4), 0.8)]))
    assert np.allclose(found, np.tile([0.2, 0.2, 0.5, 0.5, 0.8], (3, 1)))


def test_every_pipeline_of_patches_gives_the_same_maps_and_others_say_why_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = ["a.png", "b.png", "c.png"]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (64, 96, 3), np.uint8)).save(tmp_path / path)
    (tmp_path / "c.png").write_text("no picture")
    grid = Grid(64, 96, 64, 16)
    cut = [(image, path, *grid.patch(place)[:2]) for image, path in enumerate(paths) for place in range(grid.count)]
    rows = pd.DataFrame(cut, columns=["image_id", "path", "y0", "x0"])
    rows = rows.assign(patch_id=range(len(rows)), size_bytes=0, mtime_ns=0)
    fetch_weights("test_resnet", "untrained", 0, tmp_path / "w.safetensors", tmp_path / "w.json")
    files = tmp_path / "w.safetensors", tmp_path / "w.json", 64, "avg", "cpu", "float32"
    work = Work("masks", tmp_path, rows, *files, Extraction(4, 2), 2, tmp_path / "scratch", strides=(4, 8))
    able = [pipeline for pipeline in PIPELINES if not pipeline.refusal(work)]
    assert [each.name for each in able] == ["threads over files", "pixels in memory", "PyTorch DataLoader"]
    encoder = load_encoder(*files[:3], [], torch.device("cpu"), "float32", (4, 8))
    made = []
    for pipeline in able[:2]:
        with pipeline.way.epochs(work, encoder) as epoch:
            made += [epoch(), epoch()]
    assert [shape[1:] for shape in made[0].shapes] == [(16, 16), (8, 8)]
    for features in made:
        assert features.valid_N.tolist() == [path != "c.png" for path in rows["path"]]
        assert features.values_ND.dtype == np.float16 and np.isfinite(features.values_ND).all()
        assert np.allclose(features.values_ND, made[0].values_ND, atol=1e-2) and features.values_ND.any()
