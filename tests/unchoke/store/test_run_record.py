"""Finished runs: written as parts, found and read back as one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_masks import add_mask_head
from small_results import add_head

from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes
from unchoke.store.run_record import (
    CLASSIFICATION,
    SEGMENTATION,
    RunRecord,
    counts_of_test,
    find_runs,
    read_run,
    write_results,
    write_run,
)


def test_a_run_says_how_long_and_on_what(tmp_path: Path) -> None:
    write_run(tmp_path / "run.json", 2.5, "cpu", epoch_seconds=[1.0, 2.0])
    run = read_run(tmp_path / "run.json")
    assert (run["seconds"], run["epoch_seconds"]) == (2.5, [1.0, 2.0])
    assert (run["environment"]["device"], run["environment"]["torch"]) == ("cpu", torch.__version__.split("+")[0])


def test_what_is_written_is_found_with_its_digests(tmp_path: Path) -> None:
    written = RunRecord(tmp_path, "tiny", "a")
    described, facts = {"version": 1, "settings": {"kind": "knn"}}, {"history": {"k": [1, 3], "val_score": [None, 0.5]}}
    weights = [{"weight": torch.ones(2)}, {"weight": torch.zeros(2)}]
    write_results(written.group, written.checkpoint, weights, described, facts, {"curves/loss": np.arange(3)})
    (found,) = find_runs(tmp_path)
    assert found == written
    assert found.facts["settings"] == {"kind": "knn"} and found.facts["replicates"] == 2
    assert found.trials == [({"k": 1}, None), ({"k": 3}, 0.5)]
    assert {path.name: sha256_bytes(path.read_bytes()) for path, _ in found.files.values()} == {
        path.name: sha256 for path, sha256 in found.files.values()
    }
    assert not found.is_current  # no record of time and machine


def test_tasks_are_told_apart_and_have_figures_in_one_place(tmp_path: Path) -> None:
    add_head(tmp_path, "image", val=0.75)
    add_mask_head(tmp_path, "mask", encoder="maps")
    add_mask_head(tmp_path, "silent", encoder="pixels", scored=False)
    mask, silent, image = find_runs(tmp_path)
    assert [one.task for one in (image, mask, silent)] == [CLASSIFICATION, SEGMENTATION, SEGMENTATION]
    assert image.figures["val"]["accuracy"]["value"] == 0.75
    assert mask.figures["test"].keys() >= {"mean_iou", "iou.disc"} and silent.figures == {}
    assert mask.scores and counts_of_test(mask.scores).keys() == {2, 3, 4, 5}
    assert all(one.is_current for one in (image, mask, silent)) and image.seal["images"] == 16


def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    path = tmp_path / "runs/tiny/a.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 1}))
    with pytest.raises(UnchokeError, match=r"record of a training is missing or changed"):
        _ = find_runs(tmp_path)[0].run
