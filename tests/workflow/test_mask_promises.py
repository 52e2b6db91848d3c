"""The promises of the design for masks, held by killing real processes and comparing bytes."""

import random
import time
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, MASK_CONFIG, Clone, assert_same_bytes, jobs, make_masked_clone
from test_promises import kill, start, wait_for

SCORES = ("results/blobs/scores/tiny/linear.json", "results/blobs/scores/pixels/unet.json")
LONGER = {**MASK_CONFIG["mask_heads"], "linear": {"kind": "linear", "epochs": 3}}  # a saved state after each epoch
ANEW = (
    "features/tiny.zarr/s4/c/1/0/0/0",
    "labels.zarr/mask/c/1/0/0",
    "heads/tiny.zarr/linear/zarr.json",
    "stitched/tiny/linear/2.png",
)
# What is killed when: as soon as a chunk of maps is there, within a second of training, and while masks are stitched.
KILLS = {
    "snakemake": ("features/tiny.zarr/s4/c/1/0/0/0", 0.2),
    "client": ("quarantine/tiny.json", 1.0),
    "worker": ("stitched/*/*/*.bands", 0.2),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = make_masked_clone(tmp_path_factory.mktemp("undisturbed") / "clone", mask_heads=LONGER)
    clone.snakemake("--cores", "2", *SCORES)
    return clone


@pytest.mark.xdist_group("killed masks")
def test_a_run_over_masks_that_was_killed_in_each_stage_ends_in_the_same_bytes(
    undisturbed: Clone, tmp_path: Path
) -> None:
    clone = make_masked_clone(tmp_path / "killed", mask_heads=LONGER).with_own_worker()
    for victim, (pattern, longest_s) in KILLS.items():
        run = start(clone, *SCORES)
        wait_for(clone, pattern, run)
        time.sleep(random.Random(victim).uniform(0, longest_s))
        kill(clone, victim, run)
    clone.snakemake("--cores", "2", *SCORES)
    assert_same_bytes(clone, undisturbed)


@pytest.mark.xdist_group("killed masks")
def test_cores_move_no_byte(undisturbed: Clone, tmp_path: Path) -> None:
    clone = make_masked_clone(tmp_path / "another run", mask_heads=LONGER)
    clone.snakemake("--cores", "1", *SCORES)
    assert_same_bytes(clone, undisturbed)


@pytest.mark.xdist_group("killed masks")
def test_commands_of_their_own_give_the_bytes_of_the_warm_worker(
    undisturbed: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk of maps and of labels, a head, and the mask of one patch, made anew: each takes seconds to read torch."""
    clone = undisturbed.copy_to(tmp_path / "clone")
    monkeypatch.setitem(ENVIRONMENT, "UNCHOKE_WARM", "0")
    made = [f"results/blobs/{path}" for path in ANEW]
    for path in made:
        (clone.folder / path).unlink()
    output = clone.snakemake("--cores", "2", *made)
    rules = ("extract_patches", "cut_masks", "train_mask_head", "predict_patches", "stitch_band", "finish_mask")
    assert [jobs(output, rule) for rule in rules] == [1] * len(rules)
    assert_same_bytes(clone, undisturbed)
