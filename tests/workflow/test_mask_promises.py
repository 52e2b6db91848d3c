"""The promises of the design for masks, held by killing real processes and comparing bytes."""

import random
import time
from pathlib import Path

import pytest
from conftest import BLOBS, ENVIRONMENT, MASK_CONFIG, Clone, assert_same_bytes, make_masked_clone, store_digests
from test_promises import kill, start

SCORES = ("results/blobs/scores/tiny/linear.json", "results/blobs/scores/pixels/unet.json")
LONGER = {**MASK_CONFIG["mask_heads"], "linear": {"kind": "linear", "epochs": 3}}  # a draft after each epoch
# What is there when a stage begins, and within what time it is disturbed, s.
STAGES = {
    "extraction": ("plans/tiny.json", 1.0),
    "training": ("quarantine/tiny.json", 1.0),
    "stitching": ("stitched/*/*/*.bands", 1.2),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = make_masked_clone(tmp_path_factory.mktemp("undisturbed") / "clone", mask_heads=LONGER)
    clone.snakemake("--cores", "2", *SCORES)
    return clone


@pytest.mark.xdist_group("killed masks")
@pytest.mark.parametrize(
    ("stage", "victim"),
    [
        ("extraction", "worker"),
        ("training", "snakemake"),
        ("stitching", "client"),
    ],
)
def test_a_run_over_masks_that_was_killed_ends_in_the_same_bytes(
    undisturbed: Clone, tmp_path: Path, stage: str, victim: str
) -> None:
    pattern, longest_s = STAGES[stage]
    clone = make_masked_clone(tmp_path / "killed", mask_heads=LONGER)
    run = start(clone, *SCORES)
    while not any(clone.results.glob(pattern)):
        assert run.poll() is None, f"snakemake ended before {stage} began"
        time.sleep(0.01)
    time.sleep(random.Random(stage + victim).uniform(0, longest_s))
    kill(clone, victim, run)
    run.wait(120)
    clone.snakemake("--unlock")
    clone.snakemake("--cores", "2", *SCORES)
    assert_same_bytes(clone, undisturbed)


@pytest.mark.xdist_group("killed masks")
def test_cores_move_no_byte(undisturbed: Clone, tmp_path: Path) -> None:
    clone = make_masked_clone(tmp_path / "another run", mask_heads=LONGER)
    clone.snakemake("--cores", "1", *SCORES)
    assert_same_bytes(clone, undisturbed)


@pytest.mark.xdist_group("masks")
def test_commands_of_their_own_give_the_bytes_of_the_warm_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On three images in one chunk: every command takes seconds to read torch."""
    digests = []
    for warm in ("1", "0"):
        clone = make_masked_clone(tmp_path / warm, patches={"size": 64, "overlap": 16, "per_chunk": 16})
        for name in BLOBS.keys() - {"train/b", "val/small", "test/odd"}:
            for folder in ("images", "masks"):
                (clone.folder / f"blobs/{folder}/{name}.png").unlink()
        clone.snakemake("--cores", "2", "results/blobs/plans/tiny.json")
        monkeypatch.setitem(ENVIRONMENT, "UNCHOKE_WARM", warm)
        clone.snakemake("--cores", "2", "results/blobs/stitched/tiny/linear/0.png")
        monkeypatch.delitem(ENVIRONMENT, "UNCHOKE_WARM")
        digests.append(store_digests(clone))
    assert digests[0] == digests[1]
