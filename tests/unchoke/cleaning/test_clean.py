"""The stage of cleaning: findings, the column of reasons, and what heads are left with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from one_fingerprint import fingerprint

from unchoke.cleaning.clean import TORN, clean_images, select_rows, selected
from unchoke.config.cleaning import Rules, deciding
from unchoke.config.subset import Subset
from unchoke.errors import UnchokeError
from unchoke.metrics.evaluation import evaluate
from unchoke.store import chunks, tables
from unchoke.targets.listing import drawn_part

SPLIT_OF = ["train"] * 8 + ["val"] * 3 + ["test"] * 3
COPIES = {1: 0, 9: 2, 12: 3}  # in train, val and test, of images of train
BLANK, BROKEN, EXCLUDED = 5, 6, 7
RULES: dict[str, Any] = Rules().model_dump()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A manifest of 14 pictures, with copies, a blank and a broken one, and their sealed fingerprints."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (14, 16, 16, 3), np.uint8)
    for copy, original in COPIES.items():
        pictures[copy] = pictures[original]
    pictures[BLANK] = 77
    hashes, measures = map(np.stack, zip(*map(fingerprint, pictures), strict=True))
    valid = np.arange(14) != BROKEN
    arrays = {chunks.HASHES: hashes, chunks.MEASURES: measures, chunks.VALID: valid}
    store = tmp_path / "fingerprints.zarr"
    chunks.write_chunk(store, 0, arrays, {})
    shapes = {name: list(values.shape) for name, values in arrays.items()}
    chunks.seal(store, 14, shapes, {}, {})
    frame = pd.DataFrame(
        {
            "image_id": range(14),
            "path": [f"{number}.png" for number in range(14)],
            "label": [str(number % 2) for number in range(14)],
            "split": SPLIT_OF,
            "group": "",
            "size_bytes": 1,
            "mtime_ns": 1,
            "excluded": ["no label" if number == EXCLUDED else "" for number in range(14)],
        }
    )
    (tmp_path / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    return tmp_path


def clean(results: Path, rules: dict[str, Any] = RULES) -> dict[str, Any]:
    names = ("findings.csv", "cleaning.csv", "cleaning.json")
    files = [results / name for name in names]
    return clean_images(results / "fingerprints.zarr", results / "manifest.csv", rules, *files)


def select(results: Path, rules: dict[str, Any] = RULES, subset: dict[str, Any] | None = None) -> dict[int, str]:
    """Why images are left out, where they are."""
    store, selection = results / "fingerprints.zarr", results / "selection.csv"
    column = select_rows(results / "manifest.csv", store, rules, None, subset, selection)
    read = tables.read_table(selection, tables.SELECTION_COLUMNS)
    pd.testing.assert_frame_equal(read, column.astype({"left_out": object}))
    return {row: reason for row, reason in enumerate(read["left_out"]) if reason}


def test_copies_of_train_go_and_test_stays(results: Path) -> None:
    """0 and 1 are both in train; 9 is the copy of 2 in val, 12 that of 3 in test: these stay, 2 and 3 go."""
    expected = {1: "exact_duplicate", 2: "exact_duplicate", 3: "exact_duplicate", BLANK: "blank", BROKEN: "unreadable"}
    assert select(results) == expected


def test_the_column_of_reasons_names_every_rule_that_applies(results: Path) -> None:
    summary = clean(results)
    column = tables.read_table(results / "cleaning.csv", tables.CLEANING_COLUMNS)
    assert column["image_id"].tolist() == list(range(14))
    reasons = {row: text.split() for row, text in enumerate(column["reasons"]) if text}
    assert reasons[2] == ["exact_duplicate", "label_conflict", "leak"]  # labels 0 and 1
    assert reasons[BLANK] == ["blank"]
    assert EXCLUDED not in reasons
    assert dict(enumerate(column["dropped"])) == {row: select(results).get(row, "") for row in range(14)}
    assert summary["dropped"] == {"blank": 1, "exact_duplicate": 3, "unreadable": 1}
    assert summary["findings"]["leak"] == {"train": 2}
    assert summary["near_leaks"] == 0
    assert summary == json.loads((results / "cleaning.json").read_text())


def test_the_balance_counts_before_and_after(results: Path) -> None:
    balance = {(row["split"], row["label"]): (row["before"], row["after"]) for row in clean(results)["class_balance"]}
    assert balance["train", "0"] == (4, 2)  # 0, 2, 4, 6: less 2 and the broken one
    assert balance["train", "1"] == (3, 0)  # 1, 3, 5 of 1, 3, 5, 7: all go
    assert balance["test", "0"] == (1, 1)


def test_the_rules_that_drop_select_as_all_do(results: Path) -> None:
    assert select(results, deciding(RULES)) == select(results)


def test_a_blank_image_of_test_stays_and_is_counted(results: Path) -> None:
    frame = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS)
    frame.loc[[BLANK, BROKEN], "split"] = "test"
    (results / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    summary = clean(results)
    assert summary["kept_in_test"] == {"blank": 1}
    assert (BLANK in select(results), BROKEN in select(results)) == (False, True)
    rules = Rules(blank={"drop_in_test": True}).model_dump()
    assert clean(results, rules)["kept_in_test"] == {}
    assert select(results, rules)[BLANK] == "blank"


def test_a_rule_about_pixels_that_would_drop_most_of_train_stops_and_names_its_threshold(results: Path) -> None:
    """Of 7 images of train in use 1 is broken: 6 can be dark. The findings are there to look at."""
    rules = Rules(dark={"action": "drop", "mean_below": 255}).model_dump()
    with pytest.raises(UnchokeError, match="The rule dark would drop more than half of train") as caught:
        select(results, rules)
    assert "6 of 7 images beyond cleaning.rules.dark.mean_below 255" in str(caught.value)
    assert clean(results, rules)["findings"]["dark"]["train"] == 6
    reported = Rules(dark={"mean_below": 255}).model_dump()
    assert "dark" not in select(results, reported).values()


def test_exact_copies_may_be_most_of_train(results: Path) -> None:
    """Of each a copy stays, in train or elsewhere; so 1, 2, 3 of 0 to 3 go."""
    frame = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS)
    frame.loc[4:6, "split"] = "val"
    (results / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    assert {1, 2, 3} <= set(select(results))


GROUPS = ["", "a", "a", "b", "c", "", "d"]


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ([-1] * 7, GROUPS),
        ([0, -1, -1, -1, -1, 0, -1], ["copies of image 0", "a", "a", "b", "c", "copies of image 0", "d"]),
        ([0, 0, -1, -1, -1, -1, -1], ["a", "a", "a", "b", "c", "", "d"]),
        ([-1, -1, 2, 2, 4, -1, 4], ["", "a", "a", "a", "c", "", "c"]),
        ([0, -1, 2, 0, 2, -1, -1], ["b", "a", "a", "b", "a", "", "d"]),
    ],
)
def test_groups_that_copies_connect_are_one(tmp_path: Path, cluster: list[int], expected: list[str]) -> None:
    facts = {"label": "x", "split": "test", "size_bytes": 1, "mtime_ns": 1, "excluded": "", "left_out": ""}
    frame = pd.DataFrame({"image_id": range(7), "path": "p", "group": GROUPS, "cluster": cluster, **facts})
    files = {tmp_path / "m.csv": tables.MANIFEST_COLUMNS, tmp_path / "s.csv": tables.SELECTION_COLUMNS}
    for file, columns in files.items():
        file.write_bytes(tables.frame_bytes(frame, columns))
    assert selected(*files)["group"].tolist() == expected


def test_copies_within_test_do_not_narrow_the_interval(tmp_path: Path) -> None:
    """60 images five times over are as sure as the 60 are."""
    rng = np.random.default_rng(0)
    logits_NC, label_N = rng.normal(size=(60, 2)), np.zeros(60, np.int64)
    logits_NC[:, 0] += 0.8
    facts = {"path": "p", "label": "x", "split": "test", "group": "", "size_bytes": 1, "mtime_ns": 1, "excluded": ""}
    frame = pd.DataFrame({"image_id": range(300), "left_out": "", "cluster": np.tile(np.arange(60), 5), **facts})
    files = {tmp_path / "m.csv": tables.MANIFEST_COLUMNS, tmp_path / "s.csv": tables.SELECTION_COLUMNS}
    for file, columns in files.items():
        file.write_bytes(tables.frame_bytes(frame, columns))
    group_N = selected(*files)["group"].to_numpy(object)
    once = evaluate(label_N, logits_NC[None])["accuracy"]
    fivefold = evaluate(np.tile(label_N, 5), np.tile(logits_NC, (5, 1))[None], group_N)["accuracy"]
    assert fivefold.value == pytest.approx(once.value)
    assert (fivefold.low, fivefold.high) == pytest.approx((once.low, once.high), abs=0.02)


def test_a_selection_that_stays_is_not_touched(results: Path) -> None:
    select(results)
    before = (results / "selection.csv").stat().st_mtime_ns
    select(results)
    assert (results / "selection.csv").stat().st_mtime_ns == before


def test_a_subset_is_drawn_from_what_cleaning_leaves(results: Path) -> None:
    rules = {**RULES, "exact_duplicate": None, "leak": None}
    chosen = select(results, rules, drawn_part(Subset(per_class=2).model_dump()))
    assert [chosen.pop(row) for row in (BLANK, BROKEN)] == ["blank", "unreadable"]
    assert set(chosen.values()) == {"subset"}
    kept = [row for row in range(8) if row not in (*chosen, BLANK, BROKEN, EXCLUDED)]
    assert sorted(row % 2 for row in kept) == [0, 0, 1, 1]
    assert not any(SPLIT_OF[row] != "train" for row in chosen)


def test_without_cleaning_there_may_be_a_subset(results: Path) -> None:
    column = select_rows(
        results / "manifest.csv", None, {}, None, drawn_part(Subset(fraction=0.5).model_dump()), results / "s.csv"
    )
    assert set(column["left_out"]) == {"", "subset"}


def test_heads_see_the_manifest_without_what_is_left_out(results: Path) -> None:
    reasons = select(results)
    frame = selected(results / "manifest.csv", results / "selection.csv")
    assert {row: text for row, text in enumerate(frame["excluded"]) if text} == {**reasons, EXCLUDED: "no label"}
    plain = selected(results / "manifest.csv", None)
    assert {row: text for row, text in enumerate(plain["excluded"]) if text} == {EXCLUDED: "no label"}


def test_tables_of_different_images_are_refused(results: Path) -> None:
    select(results)
    frame = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS)
    (results / "manifest.csv").write_bytes(tables.frame_bytes(frame[:-1], tables.MANIFEST_COLUMNS))
    with pytest.raises(UnchokeError, match="Two tables are of different images"):
        selected(results / "manifest.csv", results / "selection.csv")
    with pytest.raises(UnchokeError, match="Fingerprints and manifest"):
        clean(results)


def test_copies_that_a_repeat_tears_apart_stay_in_test_or_val_alone(results: Path) -> None:
    clusters = [0, 0, 2, 2, 2, -1, -1, -1, 8, 8, 10, 10, -1, -1]
    left_out = ["" if number != 4 else "duplicate" for number in range(14)]
    selection = pd.DataFrame({"image_id": range(14), "left_out": left_out, "cluster": clusters})
    splits = ["train", "test", "val", "train", "test", "train", "train", ""]
    splits += ["train", "train", "test", "test", "val", "test"]
    table = pd.DataFrame({"image_id": range(14), "split": splits})
    (results / "selection.csv").write_bytes(tables.frame_bytes(selection, tables.SELECTION_COLUMNS))
    (results / "1.csv").write_bytes(tables.frame_bytes(table, tables.SPLIT_COLUMNS))
    places = results / "manifest.csv", results / "selection.csv"
    frame = selected(*places, results / "1.csv")
    # 0 has a copy in test; 3 has one in val, for 4, in test, is left out anyway
    expected = {0: TORN, 3: TORN, 4: "duplicate", EXCLUDED: "no label"}
    assert dict(frame.loc[frame["excluded"] != "", "excluded"]) == expected
    assert frame["split"].tolist() == splits
    assert selected(*places)["split"].tolist() == SPLIT_OF
    assert TORN not in set(selected(*places)["excluded"])


def test_the_table_of_a_repeat_must_be_of_the_same_images(results: Path) -> None:
    (results / "1.csv").write_bytes(tables.table_bytes(tables.SPLIT_COLUMNS, [(0, "train")]))
    with pytest.raises(UnchokeError, match="1 rows, and 14 images"):
        selected(results / "manifest.csv", None, results / "1.csv")
