"""Words of images: mended, or in quarantine with file, place and reason; a changed word changes the rows it touches."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_patches import PER_CHUNK, SETTINGS, SIDES, SIZE, random_picture, write_picture

from unchoke.manifest.images import SplitSettings
from unchoke.manifest.patches import build_patches
from unchoke.names import NO_WORDS
from unchoke.polygons.mend import CROSSES, OUTSIDE
from unchoke.store.tables import (
    MANIFEST_COLUMNS,
    PATCH_COLUMNS,
    TEXT_ROW_COLUMNS,
    WORD_COLUMNS,
    WORD_QUARANTINE_COLUMNS,
    read_table,
)

WORD = "4,4,40,4,40,16,4,16,way"
FAR = "100,60,130,60,130,80,100,80,far"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for stem, sides in SIDES.items():
        write_picture(tmp_path / f"data/images/{stem}.png", random_picture(*sides, sum(stem.encode())))
        write_words(tmp_path / "data", stem, WORD)
    return tmp_path / "data"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def write_words(root: Path, stem: str, *lines: str) -> None:
    folder, name = stem.split("/")
    (root / "gt" / folder).mkdir(parents=True, exist_ok=True)
    (root / f"gt/{folder}/gt_{name}.txt").write_text("\n".join(lines))


def build(path: Path, out: Path, shares: tuple[float, float] = (0.2, 0.2)) -> dict[str, Any]:
    return build_patches("text", path, None, SplitSettings(0, *shares), SETTINGS, out / "manifest.csv")


def excluded(out: Path) -> dict[str, str]:
    frame = read_table(out / "manifest.csv", MANIFEST_COLUMNS)
    return {path: reason for path, reason in zip(frame["path"], frame["excluded"], strict=True) if reason}


def rows_of(out: Path) -> pd.DataFrame:
    files = sorted((out / "mask_rows").iterdir(), key=lambda file: int(file.stem))
    return pd.concat([read_table(file, TEXT_ROW_COLUMNS) for file in files], ignore_index=True)


def written(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}


def test_words_of_all_images_stand_in_one_table(root: Path, out: Path) -> None:
    write_words(root, "test/a", WORD, "120,90,150,90,150,110,120,110,###")
    record = build(root, out)
    assert (record["words"], record["ignored_words"], record["quarantined_words"]) == (5, 1, 0)
    first, second, *others = read_table(out / "words.csv", WORD_COLUMNS).itertuples(index=False)
    assert first == (0, "4 4 40 4 40 16 4 16", "way", 0, "gt/test/gt_a.txt", "line 1")
    corners = {tuple(map(float, second.polygon.split()[place : place + 2])) for place in (0, 2, 4, 6)}
    assert corners == {(120, 90), (140, 90), (140, 100), (120, 100)} and second.ignored == 1
    assert [row.image_id for row in others] == [1, 2, 3, 4]
    assert not len(read_table(out / "quarantined_words.csv", WORD_QUARANTINE_COLUMNS))


def test_words_that_cannot_be_used_are_named_and_their_place_is_ignored(root: Path, out: Path) -> None:
    lines = ["1,2,30,2,30,20,1,text", "10,10,30,10,12,30,20,30,28,30,text", "900,10,950,10,950,30,900,30,text"]
    write_words(root, "train/c", WORD, *lines)
    record = build(root, out)
    assert not excluded(out)
    assert (record["words"], record["ignored_words"], record["quarantined_words"]) == (5, 3, 3)
    image = "images/train/c.png"
    assert list(read_table(out / "quarantined_words.csv", WORD_QUARANTINE_COLUMNS).itertuples(index=False)) == [
        (2, image, "gt/train/gt_c.txt", "line 2", "7 numbers, then 'text', where at least 8 numbers were expected", 1),
        (2, image, "gt/train/gt_c.txt", "line 3", CROSSES, 2),
        (2, image, "gt/train/gt_c.txt", "line 4", OUTSIDE, 0),
    ]


def test_images_without_words_are_legal_and_those_of_unknown_words_are_not(root: Path, out: Path) -> None:
    write_words(root, "test/b")
    (root / "gt/train/gt_d.txt").unlink()
    build(root, out)
    assert excluded(out) == {"images/train/d.png": NO_WORDS}
    rows = rows_of(out).set_index("image_id")["words"]
    assert rows.loc[1] == "[]" and rows.loc[3] == ""
    assert json.loads(rows.loc[4].iloc[0]) == [[[[4, 4], [40, 4], [40, 16], [4, 16]], False]]


def test_images_of_another_size_than_their_words_are_named(root: Path, out: Path) -> None:
    entries = [
        {"img_path": f"images/{stem}.png", "height": height, "width": width, "instances": [{"bbox": [4, 4, 40, 16]}]}
        for stem, (height, width) in SIDES.items()
    ]
    entries[2]["width"] = 132
    (root / "all.json").write_text(json.dumps({"data_list": entries}))
    build(root / "all.json", out, (0.3, 0.3))
    reason = "words of an image of 132 × 97 px for one of 131 × 97 px"
    assert excluded(out) == {"images/train/c.png": reason}


def test_a_changed_word_changes_the_rows_of_the_patches_that_it_touches_and_no_others(root: Path, out: Path) -> None:
    write_words(root, "test/a", WORD, FAR)
    build(root, out)
    before = written(out)
    write_words(root, "test/a", WORD, FAR.replace("130", "128"))
    build(root, out)
    after = written(out)
    patches = read_table(out / "patches.csv", PATCH_COLUMNS)
    corners = patches.query("image_id == 0 and x0 <= 150 and y0 <= 100 and x0 + 64 >= 80 and y0 + 64 >= 40")
    touched = {f"mask_rows/{patch // PER_CHUNK}.csv" for patch in corners["patch_id"]}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"words.csv", *touched} and len(touched) < len(list((out / "mask_rows").iterdir()))


def test_a_patch_has_every_word_whose_maps_reach_into_it(root: Path, out: Path) -> None:
    build(root, out)
    for row in rows_of(out).itertuples():
        # The word ends at 40, 16; its maps reach 36 · 12 · 0.84 / 96 = 3.78 px farther.
        reaches = row.x0 < 43.78 and row.y0 < 19.78
        assert (row.words != "[]") >= reaches, row
        assert row.words == "[]" or (row.x0 < 40 + SIZE and row.y0 < 16 + SIZE)
