"""Further random splits: each its own, kept while images are added, groups whole, given splits as they are."""

import csv
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.manifest.repeats import draw_repeat, repeat_seed
from unchoke.manifest.splits import draw_splits
from unchoke.store.tables import MANIFEST_COLUMNS, SPLIT_COLUMNS, read_table

ROWS = [{"path": f"{number:02d}.png", "label": "cat" if number % 3 else "dog"} for number in range(30)]
GROUPED = [{**row, "group": f"g{number // 3}"} for number, row in enumerate(ROWS)]
DRAWN = SplitSettings(0, 0.2, 0.2)


def build(folder, images, repeats, split=DRAWN):
    """The splits of the manifest, by path, and of some repeats behind it."""
    folder.mkdir(exist_ok=True)
    with (folder / "images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "split", "group"], restval="")
        writer.writeheader()
        writer.writerows(images)
    manifest = folder / "out" / "manifest.csv"
    build_manifest("csv", folder / "images.csv", None, split, 8, manifest, folder / "out" / "rows")
    files = {repeat: folder / "out" / f"repeats/{repeat}.csv" for repeat in repeats}
    for repeat, file in files.items():
        draw_repeat(manifest, repeat, file)
    frame = read_table(manifest, MANIFEST_COLUMNS)
    tables = [frame, *(read_table(file, SPLIT_COLUMNS) for file in files.values())]
    assert all(table["image_id"].tolist() == frame["image_id"].tolist() for table in tables)
    return [dict(zip(frame["path"], table["split"], strict=True)) for table in tables]


def test_every_repeat_is_a_split_of_its_own_with_the_same_shares(tmp_path):
    drawn = build(tmp_path, ROWS, range(1, 8))
    assert len({tuple(splits.values()) for splits in drawn}) == 8
    for splits in drawn:
        tests = Counter(row["label"] for row in ROWS if splits[row["path"]] == "test")
        assert tests == {"cat": 4, "dog": 2}  # 0.2 of each class
        assert list(splits.values()).count("val") == 6


def test_a_repeat_does_not_depend_on_the_others(tmp_path):
    assert build(tmp_path / "alone", ROWS, [5])[1] == build(tmp_path / "last", ROWS, range(1, 6))[5]


def test_rows_keep_their_split_while_images_are_added_and_files_that_stay_are_not_touched(tmp_path):
    old = build(tmp_path, ROWS[:20], [1, 2])
    files = sorted((tmp_path / "out/repeats").iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    assert build(tmp_path, ROWS[:20], [1, 2]) == old
    assert [file.stat().st_mtime_ns for file in files] == times
    new = build(tmp_path, ROWS, [1, 2])
    assert all(after.items() >= before.items() for before, after in zip(old, new, strict=True))


def test_other_split_settings_draw_all_rows_anew(tmp_path):
    first, other = (build(tmp_path, ROWS, [1, 2], SplitSettings(seed, 0.2, 0.2)) for seed in (0, 1))
    assert all(before != after for before, after in zip(first, other, strict=True))
    assert other == build(tmp_path / "fresh", ROWS, [1, 2], SplitSettings(1, 0.2, 0.2))


def test_a_table_whose_record_was_not_yet_written_is_drawn_anew(tmp_path):
    first = build(tmp_path, ROWS, [1])
    table = tmp_path / "out/repeats/1.csv"
    table.write_bytes(table.read_bytes().replace(b"test", b"train"))  # of other settings; the job was then killed
    table.with_suffix(".json").unlink()
    assert build(tmp_path, ROWS, [1]) == first


def test_rows_that_no_head_uses_have_no_split(tmp_path):
    images = [{**row, "label": "" if number == 4 else row["label"]} for number, row in enumerate(ROWS)]
    _, drawn = build(tmp_path, images, [1])
    assert [path for path, split in drawn.items() if split == ""] == ["04.png"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), min_size=3), st.integers(0, 20), st.integers(0, 9))
def test_a_group_is_torn_in_no_repeat(rows, seed, repeat):
    labels, groups = [label for label, _ in rows], [f"g{group}" for _, group in rows]
    drawn = draw_splits(labels, groups, [""] * len(rows), {"val": 0.2, "test": 0.2}, repeat_seed(seed, repeat))
    assert len(set(zip(groups, drawn, strict=True))) == len(set(groups))


def test_groups_stay_whole_in_the_tables_too(tmp_path):
    group_of = {row["path"]: row["group"] for row in GROUPED}
    for splits in build(tmp_path, GROUPED, range(1, 5)):
        assert len({(group_of[path], split) for path, split in splits.items()}) == 10


@pytest.mark.parametrize("grouped", [False, True])
def test_a_given_val_split_stays_in_every_repeat(tmp_path, grouped):
    rows = GROUPED if grouped else ROWS
    images = [{**row, "split": "val" if number < 6 else "train"} for number, row in enumerate(rows)]
    splits = build(tmp_path, images, [1, 2])
    for drawn in splits:
        assert {path for path, split in drawn.items() if split == "val"} == {row["path"] for row in images[:6]}
    assert len({tuple(drawn.values()) for drawn in splits}) == 3


@pytest.mark.parametrize("given_to", ["all", "some"])
def test_a_given_test_split_is_refused_before_anything_is_written(tmp_path, given_to):
    kinds = ["test", "train", "val"] if given_to == "all" else ["test", "", ""]
    images = [{**row, "split": kinds[number % 9 // 3]} for number, row in enumerate(ROWS)]
    with pytest.raises(UnchokeError, match=r"(?s)gives the test split.*set dataset.split.repeats to 1"):
        build(tmp_path, images, [1])
    assert not (tmp_path / "out/repeats").exists()


def test_seeds_of_repeats_do_not_meet():
    assert len({repeat_seed(seed, repeat) for seed in range(20) for repeat in range(1, 20)}) == 20 * 19
