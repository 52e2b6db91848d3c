"""What is missing that no rule declares is found by names, and named by a file of the job that makes it again."""

import json

import pytest
from small_configs import mask_config

from unchoke.errors import UnchokeError
from unchoke.targets.masks import Masks
from unchoke.targets.missing import (
    incomplete_batches,
    incomplete_chunks,
    incomplete_masks,
    incomplete_receipts,
    refuse_missing,
)
from unchoke.targets.stores import Store

STORES = {"features/b0": Store("<results>/features/b0", ["avg/c/{chunk}/0", "max/c/{chunk}/0"], 2)}
GRIDS = {"5": {"height": 100, "width": 140, "first": 0, "split": "val"}}  # 3 bands, 6 patches in 2 chunks
PLACES = [("tiny", "linear")]


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


@pytest.fixture
def features(tmp_path):
    """A whole store of 5 chunks, two a file."""
    stem = tmp_path / "features"
    for number in range(3):
        touch(stem / f"b0.chunks/{number}.json", stem / f"b0.zarr/valid/c/{number}")
        touch(*(stem / f"b0.zarr/{pool}/c/{number}/0" for pool in ("avg", "max")))
    touch(*(stem / f"b0.zarr/{array}/zarr.json" for array in ("avg", "max", "valid")), stem / "b0.zarr/zarr.json")
    return stem


@pytest.fixture
def stitched(tmp_path):
    """Predictions and a stitched mask, with probabilities."""
    for chunk in range(2):
        touch(tmp_path / f"predictions/tiny/linear.chunks/{chunk}.json")
    for band in range(3):
        touch(tmp_path / f"stitched/tiny/linear/5.bands/{band}.json")
        touch(tmp_path / f"stitched/tiny/linear/5.zarr/probability/c/0/{band}/0")
    return tmp_path


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ([], []),
        (["b0.chunks/1.json"], ["avg/c/1/0"]),
        (["b0.zarr/valid/c/2"], ["avg/c/2/0"]),
        (["b0.chunks/0.json", "b0.zarr/valid/c/2"], ["avg/c/0/0", "avg/c/2/0"]),
        (["b0.zarr/max/zarr.json"], ["zarr.json"]),
        (["b0.zarr/valid/zarr.json"], ["zarr.json"]),
    ],
)
def test_a_job_is_named_once_by_a_declared_file(features, gone, expected):
    for name in gone:
        (features / name).unlink()
    found = list(incomplete_chunks(STORES, features.parent, 5))
    assert found == [f"<results>/features/b0.zarr/{name}" for name in expected]


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("predictions/tiny/linear.chunks/1.json", "predictions/tiny/linear.zarr/probability/c/1/0/0/0"),
        ("stitched/tiny/linear/5.bands/2.json", "stitched/tiny/linear/5.zarr/mask/c/2/0"),
    ],
)
def test_the_record_of_a_prediction_or_a_band_is_missed(stitched, kept, gone, expected):
    masks = Masks(mask_config(segment={"probabilities": kept, "pixels_per_job": 0}), GRIDS)
    assert list(incomplete_masks(masks, PLACES, stitched, 2)) == []
    (stitched / gone).unlink()
    assert list(incomplete_masks(masks, PLACES, stitched, 2)) == [f"<results>/{expected}"]


@pytest.mark.parametrize("kept", [True, False])
def test_the_probabilities_of_a_band_are_missed_where_they_are_kept(stitched, kept):
    (stitched / "stitched/tiny/linear/5.zarr/probability/c/0/1/0").unlink()
    (stitched / "stitched/tiny/linear/5.zarr/probability/c/0/1").rmdir()
    masks = Masks(mask_config(segment={"probabilities": kept, "pixels_per_job": 0}), GRIDS)
    expected = ["<results>/stitched/tiny/linear/5.zarr/mask/c/1/0"] * kept
    assert list(incomplete_masks(masks, PLACES, stitched, 2)) == expected


@pytest.mark.parametrize("text", [None, "", "[]", '{"files": 3}', json.dumps({"files": {"../gone.csv": "0"}})])
def test_a_receipt_is_missed_with_a_file_of_it_or_where_it_cannot_be_read(tmp_path, text):
    whole, receipt = (f"<results>/receipts/{name}.json" for name in ("whole", "other"))
    touch(tmp_path / "manifest.csv", tmp_path / "receipts/whole.json")
    (tmp_path / "receipts/whole.json").write_text(json.dumps({"files": {"../manifest.csv": "0"}}))
    if text is not None:
        (tmp_path / "receipts/other.json").write_text(text)
    assert incomplete_receipts([whole, receipt], tmp_path) == [receipt]


@pytest.mark.parametrize(
    ("gone", "kept_alone"),
    [
        ("stitched/tiny/linear/5.zarr/mask/c/2/0", False),
        ("stitched/tiny/linear/5.bands/2.json", False),
        ("stitched/tiny/linear/5.zarr/probability/c/0/1/0", True),
        ("stitched/tiny/linear/5.png", False),
        ("receipts/finish_mask/tiny/linear/5.json", False),
    ],
)
@pytest.mark.parametrize("kept", [True, False])
def test_a_batch_is_missed_with_any_file_of_a_mask_in_it(stitched, gone, kept, kept_alone):
    segment = {"probabilities": kept, "pixels_per_job": 14_000}
    masks = Masks(mask_config(segment=segment), {**GRIDS, "4": {**GRIDS["5"], "height": 101}})  # 4 is too large
    mask = stitched / "stitched/tiny/linear/5.png"
    touch(mask, *(stitched / f"stitched/tiny/linear/5.zarr/mask/c/{band}/0" for band in range(3)))
    touch(receipt := stitched / "receipts/finish_mask/tiny/linear/5.json")
    receipt.write_text(json.dumps({"files": {"../../../../stitched/tiny/linear/5.png": "0"}}))
    assert incomplete_batches(masks, PLACES[0], stitched) == []
    (stitched / gone).unlink()
    (stitched / gone).parent.rmdir() if gone.endswith("/0") else None
    expected = ["<results>/stitched/tiny/linear/batches/0.json"]
    assert incomplete_batches(masks, PLACES[0], stitched) == (expected if kept or not kept_alone else [])


def test_a_file_of_the_user_that_is_not_there_stops_with_the_key_that_names_it(tmp_path):
    with pytest.raises(UnchokeError, match=r"(?s)cleaning\.decisions.*path and decision.*null") as caught:
        refuse_missing(tmp_path / "mine.csv", "cleaning.decisions")
    assert str(tmp_path / "mine.csv") in str(caught.value)
    (tmp_path / "mine.csv").write_text("")
    refuse_missing(tmp_path / "mine.csv", "cleaning.decisions")
