"""The manifest only grows: ids and splits stay, what vanished is marked, and rows files change where they must."""

import csv
import json
import os
from collections import Counter
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.manifest.images import SplitSettings, build_manifest, grow_manifest, in_use
from unchoke.manifest.moves import VANISHED
from unchoke.names import NO_LABEL
from unchoke.sources.source import ImageFile, Listing
from unchoke.store.tables import MANIFEST_COLUMNS, ROW_COLUMNS, read_table

PETS = [{"path": f"{number:02d}.png", "label": "cat" if number % 3 else "dog"} for number in range(30)]


@pytest.fixture
def build(tmp_path):
    """Bring a manifest up to date with a CSV of the images given; return what then stands in it."""

    def build_from(images, *, seed=0, val=0.2, test=0.2, chunk_size=8, **more):
        with (tmp_path / "images.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["path", "label", "split", "group"], restval="")
            writer.writeheader()
            writer.writerows(images)
        settings = SplitSettings(seed, val, test)
        manifest = tmp_path / "out" / "manifest.csv"
        source, rows = ("csv", tmp_path / "images.csv", None), tmp_path / "out" / "rows"
        build_manifest(*source, settings, chunk_size, manifest, rows, **more)
        return read_table(manifest, MANIFEST_COLUMNS)

    return build_from


def by_path(frame, column):
    return dict(zip(frame["path"], frame[column], strict=True))


def rows_files(tmp_path):
    return {int(file.stem): file for file in (tmp_path / "out" / "rows").iterdir()}


def with_splits(images, **split_by_path):
    return [{**image, "split": split_by_path.get(image["path"].removesuffix(".png"), "train")} for image in images]


# --- growing


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=1, max_size=5))
def test_an_id_is_the_place_of_a_first_appearance_and_never_changes(listings):
    frame, first_seen = None, []
    for names in listings:
        images = [ImageFile(name, "cat", "", "", 1, 1) for name in sorted(names)]
        frame = grow_manifest(frame, Listing(None, images), SplitSettings(0, 0.2, 0.2), keep_splits=True)
        first_seen += sorted(names - set(first_seen))
        assert frame["image_id"].tolist() == list(range(len(first_seen)))
        assert frame["path"].tolist() == first_seen
        assert set(frame.loc[frame["excluded"] == VANISHED, "path"]) == set(first_seen) - names


@given(st.permutations([f"x.npy[{row}]" for row in range(12)]))
def test_new_images_get_their_ids_in_the_order_of_the_listing(names):
    images = [ImageFile(name, "cat", "", "", 1, 1) for name in names]
    frame = grow_manifest(None, Listing(None, images), SplitSettings(0, 0.2, 0.2), keep_splits=True)
    assert frame["path"].tolist() == names


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=2, max_size=5))
def test_a_split_is_drawn_once(listings):
    frame = None
    for names in listings:
        images = [ImageFile(name, "cat", "", "", 1, 1) for name in sorted(names)]
        earlier = {} if frame is None else by_path(frame, "split")
        frame = grow_manifest(frame, Listing(None, images), SplitSettings(0, 0.3, 0.3), keep_splits=True)
        assert by_path(frame, "split").items() >= earlier.items()


def test_splits_that_an_earlier_version_drew_are_kept(tmp_path, build, monkeypatch):
    grouped = [{**image, "group": f"g{number // 2}"} for number, image in enumerate(PETS)]
    monkeypatch.setattr("unchoke.versions.MANIFEST", 1)
    monkeypatch.setattr(
        "unchoke.manifest.images.draw_splits",
        lambda labels, *rest: (["train", "val", "train", "test"] * 8)[: len(labels)],
    )
    before = by_path(build(PETS[:28]), "split")
    monkeypatch.undo()
    assert by_path(build(PETS), "split").items() >= before.items()
    assert json.loads((tmp_path / "out/manifest.json").read_text())["split_settings"]["version"] == 1
    assert by_path(build(grouped, seed=1), "split") != before
    assert json.loads((tmp_path / "out/manifest.json").read_text())["split_settings"]["version"] == 2


def test_an_image_that_comes_back_has_its_id_its_split_and_no_mark(build):
    before = build(PETS)
    without = build(PETS[5:])
    assert set(without.loc[without["excluded"] == VANISHED, "path"]) == {image["path"] for image in PETS[:5]}
    pd.testing.assert_frame_equal(build(PETS), before)


def test_what_the_source_says_anew_is_taken_over(tmp_path, build):
    build(PETS)
    (tmp_path / "00.png").write_bytes(b"pixels")
    changed = [{**image, "label": "cat"} if image["path"] == "03.png" else image for image in PETS]
    frame = build(changed)
    assert by_path(frame, "size_bytes")["00.png"] == len(b"pixels")
    assert by_path(frame, "label")["03.png"] == "cat"


def test_rows_that_vanished_keep_what_was_known_of_them(build):
    before, after = build(PETS), build(PETS[1:])
    pd.testing.assert_frame_equal(after.drop(columns="excluded"), before.drop(columns="excluded"))
    assert after["excluded"].tolist() == [VANISHED] + [""] * (len(PETS) - 1)
    assert "00.png" not in set(in_use(after)["path"])


def test_rows_without_a_label_are_excluded_and_their_label_may_come_later(build):
    unlabelled = [{**image, "label": ""} for image in PETS[:4]]
    frame = build(unlabelled + PETS[4:])
    assert by_path(frame, "excluded") == {image["path"]: NO_LABEL if image in PETS[:4] else "" for image in PETS}
    assert set(in_use(frame)["path"]) == {image["path"] for image in PETS[4:]}
    later = build(PETS)
    assert (later["excluded"] == "").all()
    assert later["split"].isin(["train", "val", "test"]).all()


def test_a_label_that_comes_changes_no_row_of_features_and_no_split_of_others(tmp_path, build, capsys):
    before = build([{**image, "label": ""} for image in PETS[:4]] + PETS[4:])
    assert "4 images have no label" in capsys.readouterr().out
    rows = {file.name: file.read_bytes() for file in (tmp_path / "out/rows").iterdir()}
    after = build([{**PETS[0], "label": ""}, *PETS[1:]])
    assert {file.name: file.read_bytes() for file in (tmp_path / "out/rows").iterdir()} == rows
    assert after["split"][4:].tolist() == before["split"][4:].tolist()
    assert (after["excluded"] != "").sum() == 1


def test_without_heads_no_image_needs_a_label(build):
    unlabelled = [{**image, "label": ""} for image in PETS]
    with pytest.raises(UnchokeError, match=r"(?s)too few classes.*no image has a label.*heads: \{\}"):
        build(unlabelled)
    frame = build(unlabelled, needs_labels=False, positive="cat")
    assert set(frame["excluded"]) == {NO_LABEL} and set(frame["split"]) == {""}
    assert set(build(PETS[:5], needs_labels=False)["excluded"]) == {"", VANISHED}


def test_the_same_images_change_no_file(tmp_path, build):
    build(PETS)
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    for file in files:
        os.utime(file, ns=(1, 1))
    build(PETS[::-1])
    assert [file.stat().st_mtime_ns for file in files] == [1] * len(files)


def test_the_record_counts_what_the_manifest_holds(tmp_path, build):
    frame = build([{**PETS[0], "label": ""}, *PETS[1:]])
    record = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (record["images"], record["chunk_size"], record["chunks"]) == (30, 8, 4)
    assert record["excluded"] == {NO_LABEL: 1}
    assert record["images_by_split"] == Counter(in_use(frame)["split"])


def test_the_command_takes_the_locations_of_arrays_as_json(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((30, 2, 2), np.uint8))
    np.save(tmp_path / "y.npy", np.arange(30) % 2)
    np.save(tmp_path / "patient.npy", np.arange(30) // 3)
    fields = {"images": {"": "x.npy"}, "labels": {"": "y.npy"}, "groups": {"": "patient.npy"}}
    flags = {
        "kind": "npy",
        "path": tmp_path,
        "group": None,
        "seed": 0,
        "fields": json.dumps(fields),
        "val": 0.2,
        "test": 0.2,
        "chunk-size": 8,
        "manifest": tmp_path / "m.csv",
        "rows": tmp_path / "rows",
    }
    import_module("build_manifest").main([f"--{name}={value}" for name, value in flags.items()])
    assert "images: 30" in capsys.readouterr().out
    frame = read_table(tmp_path / "m.csv", MANIFEST_COLUMNS)
    assert frame["label"].tolist() == ["0", "1"] * 15
    assert frame.groupby("group")["split"].nunique().tolist() == [1] * 10


# --- splits


def test_another_seed_draws_all_splits_anew_and_keeps_the_ids(build):
    first, second = build(PETS, seed=0), build(PETS, seed=1)
    assert first["split"].tolist() != second["split"].tolist()
    pd.testing.assert_frame_equal(first.drop(columns="split"), second.drop(columns="split"))
    pd.testing.assert_frame_equal(build(PETS, seed=0), first)


def test_other_shares_draw_the_splits_anew(build):
    build(PETS, val=0.2)
    assert Counter(build(PETS, val=0.4)["split"])["val"] == 12


def test_given_splits_stay_as_they_are(build):
    images = [{**image, "split": ["train", "val", "test"][number % 5 % 3]} for number, image in enumerate(PETS)]
    assert by_path(build(images), "split") == {image["path"]: image["split"] for image in images}


def test_a_val_that_is_not_given_is_drawn_from_train_alone(build):
    tests = {image["path"] for image in PETS[:10]}
    images = [{**image, "split": "test" if image["path"] in tests else "train"} for image in PETS]
    frame = build(images)
    assert set(frame.loc[frame["split"] == "test", "path"]) == tests
    assert Counter(frame["split"]) == {"train": 14, "val": 6, "test": 10}


def test_a_group_is_in_one_split_also_when_it_grows(build):
    images = [{**image, "group": f"g{number // 3}"} for number, image in enumerate(PETS)]
    build(images[::2], val=0.3, test=0.3)
    frame = build(images, val=0.3, test=0.3)
    assert frame.groupby("group")["split"].nunique().eq(1).all()


def test_an_image_that_vanished_does_not_stand_against_new_splits(build):
    images = [{**image, "group": f"g{number // 2}"} for number, image in enumerate(PETS)]
    drawn = by_path(build(images), "split")
    order = ["train", "val", "test"]
    moved = [{**image, "split": order[(order.index(drawn[image["path"]]) + 1) % 3]} for image in images]
    frame = build(moved[1:])
    assert by_path(frame, "split").items() >= {image["path"]: image["split"] for image in moved[1:]}.items()


def test_another_seed_draws_every_split_from_the_images_that_are_there(build):
    frame = build(PETS)
    gone = set(frame.loc[frame["split"] == "test", "path"])
    redrawn = in_use(build([image for image in PETS if image["path"] not in gone], seed=1))
    assert Counter(redrawn["split"])["test"] == pytest.approx(0.2 * len(redrawn), abs=2)


# --- rows files


def test_rows_files_hold_the_rows_of_the_manifest_once_and_in_order(tmp_path, build):
    frame = build(PETS, chunk_size=7)
    files = rows_files(tmp_path)
    tables = [read_table(files[chunk], ROW_COLUMNS) for chunk in sorted(files)]
    assert [len(table) for table in tables] == [7, 7, 7, 7, 2]
    pd.testing.assert_frame_equal(pd.concat(tables, ignore_index=True), frame[list(ROW_COLUMNS)])


def test_full_chunks_are_not_touched_when_images_come_go_or_change_class(tmp_path, build):
    build(PETS)
    for file in rows_files(tmp_path).values():
        os.utime(file, ns=(1, 1))
    more = [{"path": f"new {number}.png", "label": "owl"} for number in range(10)]
    build([{**PETS[1], "label": "dog"}, *PETS[2:], *more])
    untouched = [chunk for chunk, file in rows_files(tmp_path).items() if file.stat().st_mtime_ns == 1]
    assert sorted(rows_files(tmp_path)) == [0, 1, 2, 3, 4]
    assert sorted(untouched) == [0, 1, 2]


def test_an_image_that_is_replaced_touches_its_chunk_alone(tmp_path, build):
    build(PETS)
    for file in rows_files(tmp_path).values():
        os.utime(file, ns=(1, 1))
    (tmp_path / "09.png").write_bytes(b"pixels")
    build(PETS)
    assert [chunk for chunk, file in rows_files(tmp_path).items() if file.stat().st_mtime_ns != 1] == [1]


def test_larger_chunks_leave_no_rows_file_behind(tmp_path, build):
    build(PETS, chunk_size=4)
    assert sorted(rows_files(tmp_path)) == list(range(8))
    build(PETS, chunk_size=16)
    assert sorted(rows_files(tmp_path)) == [0, 1]


# --- errors

ERRORS = {
    "too few classes": [{**image, "label": "cat"} for image in PETS],
    "no image has a label": [{**image, "label": ""} for image in PETS],
    "The test split has a class that train lacks": [
        {**image, "split": "test" if image["label"] == "dog" else "train"} for image in PETS
    ],
    "A group stands in two splits": [
        {**image, "group": "p1" if number in (1, 2) else "", "split": ["train", "val", "test"][number % 5 % 3]}
        for number, image in enumerate(PETS)
    ],
    "The val split is empty": [{**PETS[0], "split": "val", "label": ""}, *with_splits(PETS[1:], **{"01": "test"})],
    "The test split is empty": [{**PETS[0], "split": "test", "label": ""}, *with_splits(PETS[1:], **{"01": "val"})],
}


@pytest.mark.parametrize("problem", ERRORS)
def test_splits_that_no_head_can_be_judged_by_stop_the_run_before_anything_is_written(tmp_path, build, problem):
    with pytest.raises(UnchokeError, match=problem):
        build(ERRORS[problem])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("positive", "said"), [("dogs", "did you mean 'dog'"), ("owl", "known are: cat, dog")])
def test_a_positive_class_that_is_not_there_stops_the_run_before_anything_is_written(tmp_path, build, positive, said):
    with pytest.raises(UnchokeError, match=said):
        build(PETS, positive=positive)
    assert not (tmp_path / "out").exists()
    assert build(PETS, positive="dog").equals(build(PETS))


def test_an_error_leaves_an_earlier_manifest_as_it_was(tmp_path, build):
    build(PETS)
    before = {file: file.read_bytes() for file in (tmp_path / "out").rglob("*.*")}
    with pytest.raises(UnchokeError):
        build(ERRORS["too few classes"])
    assert {file: file.read_bytes() for file in (tmp_path / "out").rglob("*.*")} == before
