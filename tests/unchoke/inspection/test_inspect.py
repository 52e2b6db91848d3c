"""The stage of rules about features: tables as those of pixels, and what heads are left with."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_features import clouds, make_store

import inspect_features as command
from unchoke.cleaning.clean import select_rows
from unchoke.cleaning.findings import gathered, not_copies, refuse_half
from unchoke.config.cleaning import Rules
from unchoke.config.inspection import Features, Mislabelled, inspecting_heads
from unchoke.errors import UnchokeError
from unchoke.inspection.inspect import inspect_features
from unchoke.inspection.mislabelled import flip_labels
from unchoke.inspection.said import sentences
from unchoke.names import NO_LABEL
from unchoke.store import chunks, tables

N, CPU = 180, torch.device("cpu")
X_ND, TRUE_N = clouds([60, 60, 60], 8, 0, 0.5)
LABEL_N = flip_labels(TRUE_N, 0.08, 3, 7)
WRONG = set(np.flatnonzero(LABEL_N != TRUE_N).tolist())
SPLIT = ["train"] * 100 + ["val"] * 40 + ["test"] * 40
BROKEN, BLANK = 7, 8


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Clouds of three classes with features, fingerprints, and wrong labels in every split."""
    labels = np.array(["a", "b", "c"], object)[LABEL_N]
    valid = np.arange(N) != BROKEN
    make_store(tmp_path / "b0.zarr", X_ND * valid[:, None], valid)
    hashes = np.stack([np.arange(N)] * 3, 1).astype(np.uint64) << np.uint64(20)
    measures = np.tile(np.float32([128, 60, 0, 500, 20, 20]), (N, 1))
    measures[BLANK, 1] = 0
    arrays = {chunks.HASHES: hashes, chunks.MEASURES: measures, chunks.VALID: valid}
    chunks.write_chunk(tmp_path / "fingerprints.zarr", 0, arrays, {})
    chunks.seal(tmp_path / "fingerprints.zarr", N, {name: list(one.shape) for name, one in arrays.items()}, {}, {})
    facts = {"group": "", "size_bytes": 1, "mtime_ns": 1, "excluded": ""}
    frame = pd.DataFrame({"image_id": range(N), "label": labels, "split": SPLIT, **facts})
    frame["path"] = [f"{row}.png" for row in range(N)]
    (tmp_path / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    return tmp_path


WRITTEN = ("feature_findings.csv", "feature_findings.json", "distances.csv")
PIXEL_RULES: dict[str, Any] = {"blank": Rules().model_dump()["blank"]}


def settings_of(near: dict[str, Any] | None = None, **rule: Any) -> dict[str, Any]:
    rules = {"mislabelled": None if near else rule, "near_in_features": near}
    features = Features.model_validate({"encoder": "b0", "rules": rules}).model_dump()
    return features | inspecting_heads(features, "identity")


def inspect_stores(results: Path, *stores: str, **rule: Any) -> dict[str, Any]:
    given = ([results / name for name in stores], results / "manifest.csv", results / "fingerprints.zarr", PIXEL_RULES)
    written = (results / name for name in WRITTEN)
    return inspect_features(*given, settings_of(**rule), CPU, *written)


def inspect(results: Path, **rule: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    said = inspect_stores(results, "b0.zarr", **rule)
    findings, summary = results / "feature_findings.csv", results / "feature_findings.json"
    assert json.loads(summary.read_text()) == json.loads(json.dumps(said | {"settings": settings_of(**rule)}))
    return tables.read_table(findings, tables.FINDING_COLUMNS), said


def test_train_alone_is_examined_and_only_reported(results: Path) -> None:
    found, said = inspect(results)
    ids = found["image_id"].tolist()
    assert set(ids) <= WRONG and len(ids) >= 4 and max(ids) < 100
    assert set(found["action"]) == {"report"} and set(found["rule"]) == {"mislabelled"}
    manifest = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS).set_index("image_id")
    assert found["label"].tolist() == manifest.loc[ids, "label"].tolist()
    assert (found["label"] != found["suggested"]).all()
    for row in found.to_dict("records"):
        near = [int(text) for text in row["nearest"].split()]
        assert set(manifest.loc[near, "label"]) == {row["suggested"]} and len(near) == 5
        assert not {BROKEN, BLANK} & set(near)
    assert said["findings"] == {"mislabelled": {"train": len(ids)}} and said["dropped"] == {}
    assert said["mislabelled"]["images"] == 98  # less the broken and the blank one


def test_drop_leaves_images_of_train_and_val_out_and_never_those_of_test(results: Path) -> None:
    found, said = inspect(results, action="drop", splits=["train", "val", "test"])
    split = np.array(SPLIT)[found["image_id"]]
    assert set(split) == {"train", "val", "test"}
    assert found["action"].tolist() == ["report" if name == "test" else "drop" for name in split]
    goes = found.loc[split != "test", "image_id"].tolist()
    assert said["dropped"] == {"mislabelled": len(goes)}
    inspected = results / "feature_findings.csv"
    files = (results / "manifest.csv", results / "fingerprints.zarr")
    column = select_rows(*files, PIXEL_RULES, inspected, None, results / "selection.csv")
    reasons = column.set_index("image_id")["left_out"]
    assert reasons[reasons != ""].to_dict() == {
        BLANK: "blank",
        **dict.fromkeys(goes, "mislabelled"),
    }


def test_near_images_are_found_at_the_threshold_that_is_given(results: Path) -> None:
    found, said = inspect(results, near={"threshold": 0.95})
    x_ND = X_ND.astype(np.float64) / np.linalg.norm(X_ND.astype(np.float64), axis=1, keepdims=True)
    used = np.setdiff1d(np.arange(N), [BROKEN, BLANK])
    cosine_NN = np.full((N, N), -1.0)
    cosine_NN[np.ix_(used, used)] = x_ND[used] @ x_ND[used].T
    linked = ((cosine_NN >= 0.95) & ~np.eye(N, dtype=bool)).any(1)
    copies = set(found["image_id"]) | set(found["other"])
    assert copies == set(np.flatnonzero(linked)) and len(found) > 3
    assert said["findings"]["near_in_features"] == found["split"].value_counts().to_dict()
    for row in found.to_dict("records"):
        expected = x_ND[row["image_id"]] @ x_ND[row["other"]]
        assert float(row["value"]) == pytest.approx(expected, abs=1e-5)
    assert "proposal" not in said["near_in_features"]


def test_a_second_view_proposes_the_threshold(results: Path) -> None:
    turned = X_ND + 0.02 * np.random.default_rng(0).normal(size=X_ND.shape)
    valid = np.arange(N) != BROKEN
    make_store(results / "b0@hflip.zarr", turned.astype(np.float16) * valid[:, None], valid, view="hflip")
    said = inspect_stores(results, "b0.zarr", "b0@hflip.zarr", near={"seed": 3})
    near = said["near_in_features"]
    assert near["threshold"] == near["proposal"]["threshold"] and 0.99 < near["threshold"] < 1
    assert "views identity and hflip of 178 images" in "".join(sentences(said))


def test_without_views_and_copies_no_threshold_is_guessed(results: Path) -> None:
    with pytest.raises(UnchokeError, match="No threshold can be proposed for near_in_features") as caught:
        inspect(results, near={"seed": 1})
    assert "add a view to the encoder" in str(caught.value)


def test_the_same_inputs_give_the_same_bytes(results: Path) -> None:
    inspect(results)
    before = (results / "feature_findings.csv").read_bytes()
    inspect(results)
    assert (results / "feature_findings.csv").read_bytes() == before


def test_a_rule_that_would_drop_most_of_train_stops_and_names_the_threshold(results: Path) -> None:
    frame = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS)
    rules = {"mislabelled": Mislabelled(action="drop", margin_above=0.25).model_dump()}
    for count in (50, 51):
        id_F = np.arange(count)
        found = not_copies(id_F, np.full(count, 0.5), np.ones(count, bool))
        findings = gathered([("mislabelled", rules["mislabelled"], found)], N, np.full(N, -1))
        if count == 50:
            refuse_half(findings, frame, rules, "cleaning.features.rules")
    with pytest.raises(UnchokeError, match="would drop more than half of train") as caught:
        refuse_half(findings, frame, rules, "cleaning.features.rules")
    assert "51 of 100 images beyond cleaning.features.rules.mislabelled.margin_above 0.25" in str(caught.value)
    reported = findings.frame.assign(action="report")
    refuse_half(dataclasses.replace(findings, frame=reported), frame, rules, "cleaning.features.rules")


def test_equal_features_are_refused(results: Path) -> None:
    make_store(results / "equal.zarr", np.ones((N, 8)))
    with pytest.raises(UnchokeError, match="All training images have the same features"):
        inspect_stores(results, "equal.zarr")


def test_near_images_among_equal_features_drop_nothing_and_propose_nothing(results: Path) -> None:
    for view, name in (("identity", "equal.zarr"), ("hflip", "turned.zarr")):
        make_store(results / name, np.ones((N, 8)), view=view)
    with pytest.raises(UnchokeError, match="more than half of train") as caught:
        inspect_stores(results, "equal.zarr", near={"threshold": 0.9, "action": "drop"})
    assert "99 of 99 images beyond cleaning.features.rules.near_in_features.threshold 0.9" in str(caught.value)
    with pytest.raises(UnchokeError, match="different images are as near as two pictures of one image"):
        inspect_stores(results, "equal.zarr", "turned.zarr", near={"seed": 0})
    said = inspect_stores(results, "equal.zarr", near={"threshold": 0.9})
    assert said["near_in_features"]["clusters"] == 1


@pytest.mark.parametrize(
    ("labels", "problem", "found"),
    [
        (["a"] * N, "there is one class", "class a"),
        (["b"] * 4 + ["a"] * (N - 4), "A class has fewer images than there are folds", "4 of 'b'"),
    ],
)
def test_labels_that_cannot_be_judged_stop_the_stage_and_write_nothing(
    results: Path, labels: list[str], problem: str, found: str
) -> None:
    frame = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS).assign(label=labels)
    (results / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    with pytest.raises(UnchokeError, match=problem) as caught:
        inspect(results)
    assert found in str(caught.value)
    assert not [name for name in WRITTEN if (results / name).exists()]


def test_the_command_says_what_was_found_and_how_sure(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags: dict[str, Any] = {"stores": results / "b0.zarr", "manifest": results / "manifest.csv"}
    flags |= {"fingerprints": results / "fingerprints.zarr", "rules": json.dumps(PIXEL_RULES), "memory-mb": 9000}
    flags |= {"settings": json.dumps(settings_of(action="drop")), "device": "cpu", "threads": 1}
    flags |= {"findings": results / "found.csv", "summary": results / "found.json"}
    flags |= {"distances": results / "distances.csv"}
    command.main([text for name, value in flags.items() for text in (f"--{name}", str(value))])
    said = capsys.readouterr().out
    assert re.search(r"mislabelled: (\d+) images \(\1 dropped for this\); about", said)
    assert "of 5 labels flipped on purpose the rule finds" in said


def test_images_without_a_label_have_distances_and_no_findings(results: Path) -> None:
    manifest, waiting = results / "manifest.csv", list(range(60, 90))
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    frame.loc[waiting, ["label", "split", "excluded"]] = ["", "", NO_LABEL]
    manifest.write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    found, said = inspect(results)
    assert not set(found["image_id"]) & set(waiting) and said["mislabelled"]["images"] == 68
    distances = tables.read_table(results / "distances.csv", tables.DISTANCE_COLUMNS).set_index("image_id")
    assert distances.index[distances["split"] == "unlabelled"].tolist() == waiting
    assert not set(distances["nearest"]) & set(waiting)
    assert said["shift"]["splits"]["unlabelled"]["images"] == 30
    frame[["label", "split", "excluded"]] = ["", "", NO_LABEL]
    manifest.write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    _, without_train = inspect(results, near={"threshold": 0.95})
    assert without_train["shift"] is None
