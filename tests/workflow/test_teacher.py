"""A teacher and its students by real runs of Snakemake: asked once a patch, learnt from, and segmenting itself."""

import importlib.util
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from conftest import BLOBS, MASK_CONFIG, Clone, jobs, make_masked_clone, store_digests
from PIL import Image
from test_promises import kill, start, wait_for
from torch.nn.functional import cross_entropy, interpolate

pytestmark = pytest.mark.xdist_group("teacher")

REPOSITORY = Path(__file__).parents[2]
FILE = "config/examples/teachers/torch_teacher.py"
UNMASKED = ("train/b", "train/c")  # a patch each; of 8 images, far above dataset.max_bad_share
SECTIONS: dict[str, Any] = {
    "patches": {**MASK_CONFIG["patches"], "per_chunk": 8},
    "segment": {"splits": ["val", "test"]},
    "dataset": {**MASK_CONFIG["dataset"], "classes": {"background": [0], "foreground": [255]}},
    "teacher": {"file": "mine.py", "checkpoint": "teacher.pt", "features": True},
    "mask_heads": {
        "student": {
            "kind": "decoder",
            "width": 8,
            "epochs": 4,
            "learning_rates": [0.02],
            "distil": {"features": 1, "logits": 2, "temperature": 2.0},
        },
        "pupil": {"kind": "unet", "width": 4, "epochs": 2, "distil": {"logits": 2}},
    },
}


def train_teacher(clone: Clone) -> None:
    """On all blobs, their masks included that heads shall not see, in a second or two."""
    spec = importlib.util.spec_from_file_location("torch_teacher", REPOSITORY / FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    encoder, head = module.build("test_resnet", 2)
    picture_B3SS, label_BSS = crops(clone)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], 0.01)
    for _ in range(30):
        (features,) = encoder((picture_B3SS - 0.45) / 0.225)
        logits = interpolate(head(features), label_BSS.shape[1:], mode="bilinear")
        optimizer.zero_grad()
        cross_entropy(logits, label_BSS).backward()
        optimizer.step()
    parts = {"encoder": encoder.state_dict(), "head": head.state_dict()}
    torch.save({"model": "test_resnet", "classes": 2, **parts}, clone.folder / "teacher.pt")


def crops(clone: Clone) -> tuple[torch.Tensor, torch.Tensor]:
    """The first 64 × 64 px of every image that has them, 0 to 1, and their classes."""
    large = [name for name, (height, width) in BLOBS.items() if min(height, width) >= 64]
    pictures = [np.asarray(Image.open(clone.folder / f"blobs/images/{name}.png"))[:64, :64] for name in large]
    masks = [np.asarray(Image.open(clone.folder / f"blobs/masks/{name}.png"))[:64, :64] for name in large]
    x_BSS = torch.from_numpy(np.stack(pictures)).float() / 255
    return x_BSS[:, None].expand(-1, 3, -1, -1), torch.from_numpy(np.stack(masks) > 0).long()


def make_distilled_clone(folder: Path) -> Clone:
    """Blobs, two of them without a mask, and a teacher that was trained on all."""
    clone = make_masked_clone(folder, **SECTIONS)
    (clone.folder / "mine.py").write_text((REPOSITORY / FILE).read_text())
    train_teacher(clone)
    for name in UNMASKED:
        (clone.folder / f"blobs/masks/{name}.png").unlink()
    return clone


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    clone = make_distilled_clone(tmp_path_factory.mktemp("distilled") / "clone")
    return clone, clone.snakemake("--cores", "2")


@pytest.fixture
def again(distilled: tuple[Clone, str], tmp_path: Path) -> Clone:
    return distilled[0].copy_to(tmp_path / "clone")


def chunks_of(clone: Clone) -> int:
    return int(json.loads((clone.results / "manifest.json").read_text())["chunks"])


def facts_of(clone: Clone, encoder: str, head: str) -> dict[str, Any]:
    return dict(zarr.open_group(clone.results / f"heads/{encoder}.zarr/{head}", mode="r").attrs["unchoke"])


def test_a_teacher_is_asked_once_a_patch_and_its_answers_are_a_store(distilled: tuple[Clone, str]) -> None:
    clone, output = distilled
    assert jobs(output, "run_teacher") == chunks_of(clone)
    patches = len((clone.results / "patches.csv").read_text().splitlines()) - 1
    store = zarr.open_group(clone.results / "features/teacher.zarr", mode="r")
    assert store["logits"].shape == (patches, 2, 16, 16) and store["features"].shape == (patches, 32, 16, 16)
    assert store["logits"].dtype == np.float16 and store["valid"][:].all()
    assert "\nteacher," in (clone.results / "rates.csv").read_text()
    assert "Nothing to be done" in clone.snakemake("--cores", "2")
    assert "as they were sealed" in clone.snakemake("verify")


def test_images_without_a_mask_are_distilled_on_and_are_no_reason_to_stop(distilled: tuple[Clone, str]) -> None:
    clone, _ = distilled
    assert (clone.results / "quarantine.csv").read_text().count("no mask") == len(UNMASKED)
    for encoder, head in (("tiny", "student"), ("pixels", "pupil")):
        facts = facts_of(clone, encoder, head)
        assert facts["patches"]["taught"] == facts["patches"]["train"] + len(UNMASKED)
        assert len(facts["teacher_sha256"]) == 64 and facts["settings"]["distil"]["logits"] == 2


def test_the_teacher_segments_from_what_it_has_said(again: Clone) -> None:
    again.configure(**{**SECTIONS, "segment": {**SECTIONS["segment"], "head": "teacher"}})
    shutil.rmtree(again.results / "features/tiny.zarr")  # maps that nobody reads
    output = again.snakemake("--cores", "2")
    assert jobs(output, "predict_teacher") == chunks_of(again)
    others = ("run_teacher", "train_mask_head", "predict_patches", "extract_patches", "plan_memory")
    assert not any(jobs(output, rule) for rule in others)
    scores = json.loads((again.results / "scores/teacher/teacher.json").read_text())
    assert (scores["blend"], scores["exact"], scores["reach_px"]) == ("gaussian", False, None)
    assert scores["figures"]["test"]["mean_iou"]["value"] > 0.6
    assert scores["figures"]["test"]["mean_iou"]["value"] == pytest.approx(iou_by_hand(again), abs=0.02)
    with sqlite3.connect(again.results / "experiments.db") as connection:
        board = dict(connection.execute("SELECT head, kind FROM leaderboard").fetchall())
    assert board == {"teacher": "teacher", "student": "decoder", "pupil": "unet"}
    assert "Nothing to be done" in again.snakemake("--cores", "2")
    assert "as they were sealed" in again.snakemake("verify")


def iou_by_hand(clone: Clone) -> float:
    """Mean IoU over the pixels of all test images, from the PNG files."""
    counts_22 = np.zeros((2, 2))
    for path, image in zip(sorted(name for name in BLOBS if name.startswith("test/")), range(3), strict=True):
        truth = np.asarray(Image.open(clone.folder / f"blobs/masks/{path}.png")) > 0
        found = np.asarray(Image.open(clone.results / f"stitched/teacher/teacher/{image}.png")) == 1
        np.add.at(counts_22, (truth.astype(int), found.astype(int)), 1)
    inside = np.diag(counts_22)
    return float((inside / (counts_22.sum(0) + counts_22.sum(1) - inside)).mean())


def test_a_run_that_was_killed_ends_in_the_same_bytes(distilled: tuple[Clone, str], tmp_path: Path) -> None:
    clone = make_distilled_clone(tmp_path / "killed").with_own_worker()
    (clone.folder / "teacher.pt").write_bytes((distilled[0].folder / "teacher.pt").read_bytes())
    wanted = "results/blobs/checkpoints/tiny/student.safetensors"
    run = start(clone, wanted)
    wait_for(clone, "features/teacher.zarr/features/c/1/0/0/0", run)
    kill(clone, "snakemake", run)
    assert not (clone.results / "features/teacher.sealed.json").exists()
    assert 0 < jobs(clone.snakemake("--cores", "2", wanted), "run_teacher") < chunks_of(clone)
    made = store_digests(clone)
    assert any("heads/tiny.zarr/student" in path for path in made)
    assert made.items() <= store_digests(distilled[0]).items()


def test_another_teacher_is_asked_anew_and_one_that_fails_is_named(again: Clone) -> None:
    file = again.folder / "mine.py"
    text = file.read_text()
    file.write_text(text)
    assert "Nothing to be done" in again.snakemake("--cores", "2")  # the content counts, not the time
    file.write_text(text.replace("head(features)", "head(features)[:, :1]"))
    output = again.snakemake("--cores", "2", ok=False)
    assert "The teacher gives something else than it should." in output
    assert "logits (4, 1, 16, 16)" in output and "logits (4, 2, h, w), finite" in output and "mine.py" in output
