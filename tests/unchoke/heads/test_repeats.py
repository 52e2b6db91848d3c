"""A head on another random split: the same training, and splits that do not serve are told, not hidden."""

from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from small_features import SPLIT, clouds, make_manifest, make_store, pixel_manifest, pixel_store

from unchoke.config.heads import Centroid
from unchoke.heads.repeats import train_repeat
from unchoke.heads.train import save_head, train_head

CPU = torch.device("cpu")
SETTINGS = Centroid(kind="centroid", choose_by="accuracy").model_dump()


def test_a_repeat_is_trained_as_any_head(tmp_path: Path) -> None:
    features, manifest = {"identity": pixel_store(tmp_path)}, pixel_manifest()
    repeat = manifest.assign(split=np.roll(SPLIT, 100))
    found = train_repeat(repeat, features, manifest, SETTINGS, CPU)
    expected, own = train_head(features, repeat, SETTINGS, CPU), train_head(features, manifest, SETTINGS, CPU)
    np.testing.assert_array_equal(found.logits_RNC["test"], expected.logits_RNC["test"])
    assert found.figures["test"]["log_loss"].value == expected.figures["test"]["log_loss"].value
    assert found.figures["test"]["log_loss"].value != own.figures["test"]["log_loss"].value
    assert found.failed == own.failed == ""


LABELS = list("abcabcabcabc")
FIRST = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
UNFIT = {  # splits, and why they do not serve
    "train": (["train", "train", "test"] * 2 + FIRST[6:], "The train split lacks a class: 'c'"),
    "test": ([*FIRST[:11], "train"], "The test split lacks a class: 'c'"),
    "val": (["train"] * 9 + ["test"] * 3, "No image of the val split could be read"),
    "shots": (["train"] * 3 + ["val"] * 3 + ["test"] * 6, "A class has fewer training images than shots: 1 of 'a'"),
}


def test_an_image_that_cannot_be_read_is_no_image_of_its_class(tmp_path: Path) -> None:
    valid = np.arange(12) != 5  # the only `c` of test in the repeat
    features = {"identity": make_store(tmp_path / "identity.zarr", clouds([4, 4, 4], 5, 0)[0], valid)}
    manifest = make_manifest(LABELS, FIRST)
    repeat = manifest.assign(split=["train"] * 3 + ["test"] * 3 + ["val"] * 3 + ["train"] * 3)
    assert train_repeat(repeat, features, manifest, SETTINGS, CPU).failed == UNFIT["test"][1]


@pytest.mark.parametrize(("splits", "why"), UNFIT.values(), ids=UNFIT)
def test_a_split_that_does_not_serve_is_told(tmp_path: Path, splits: list[str], why: str) -> None:
    features = {"identity": make_store(tmp_path / "identity.zarr", clouds([4, 4, 4], 5, 0)[0])}
    manifest, settings = make_manifest(LABELS, FIRST), {**SETTINGS, "shots": 2, "draws": 2}
    head = train_repeat(manifest.assign(split=splits), features, manifest, settings, CPU)
    assert head.failed.startswith(why)
    save_head(head, features, settings, tmp_path / "group", tmp_path / "head.safetensors")
    facts = zarr.open_group(tmp_path / "group", mode="r").attrs["unchoke"]
    assert facts["failed"] == head.failed
    assert (facts["metrics"], facts["replicates"]) == ({}, 0)
