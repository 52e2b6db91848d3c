"""The manifest of patches only grows, every pixel lies in one, and what cannot be used is marked with its reason."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_patches import (
    PER_CHUNK,
    SETTINGS,
    SIDES,
    SIZE,
    build,
    corners,
    manifest_of,
    patches_of,
    random_mask,
    random_picture,
    rows_of,
    write_pair,
    write_pairs,
    write_picture,
)

from unchoke.errors import UnchokeError
from unchoke.manifest.moves import VANISHED
from unchoke.manifest.patches import RESIZED, PatchSettings, grow_patches
from unchoke.names import NO_LABEL, NO_MASK


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def reasons_of(out: Path) -> dict[str, str]:
    frame = manifest_of(out)
    return dict(zip(frame["path"].str.removeprefix("images/"), frame["excluded"], strict=True))


def ids_of(out: Path) -> dict[str, int]:
    frame = manifest_of(out)
    stems = frame["path"].str.removeprefix("images/").str.removesuffix(".png")
    return dict(zip(stems, frame["image_id"], strict=True))


def written(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}


def age(out: Path) -> None:
    for file in out.rglob("*"):
        os.utime(file, ns=(1, 1))


def touched(out: Path) -> set[str]:
    return {str(file.relative_to(out)) for file in out.rglob("*.*") if file.stat().st_mtime_ns != 1}


# --- growing, without files

sides = st.tuples(st.integers(1, 50), st.integers(1, 50)) | st.just((0, 0))  # 0: unreadable
settings = st.builds(
    lambda size, halo, per_chunk: PatchSettings(size, 2 * min(halo, size // 4), per_chunk),
    st.integers(4, 20),
    st.integers(0, 5),
    st.integers(1, 5),
)


def frame_of(sides_by_id: list[tuple[int, int]]) -> pd.DataFrame:
    height, width = np.array(sides_by_id).T
    return pd.DataFrame({"image_id": range(len(height)), "height": height, "width": width, "excluded": ""})


@given(st.lists(sides, min_size=4, max_size=4), st.lists(sides, min_size=4, max_size=4), settings)
def test_patches_keep_their_numbers_and_new_ones_come_behind_them(first, second, settings):
    old = grow_patches(None, frame_of([(9, 9), *first[:2]]), settings)
    before = old.copy()
    grown = grow_patches(old, frame_of([(9, 9), *second]), settings)
    pd.testing.assert_frame_equal(old, before)
    kept = grown.iloc[: len(old)]
    pd.testing.assert_frame_equal(kept.drop(columns="excluded"), old.drop(columns="excluded"), check_dtype=False)
    assert grown["patch_id"].tolist() == list(range(len(grown)))
    resized = [1 + place for place in (0, 1) if first[place] != second[place] and second[place] != (0, 0)]
    assert (kept["excluded"] == RESIZED).tolist() == kept["image_id"].isin(resized).tolist()
    assert (grown["excluded"].iloc[len(old) :] == "").all()
    pd.testing.assert_frame_equal(grow_patches(grown, frame_of([(9, 9), *second]), settings), grown)


@given(st.lists(sides, min_size=1, max_size=4), settings)
def test_every_pixel_of_every_image_lies_in_a_patch_on_the_grid(sides_by_id, settings):
    patches = grow_patches(None, frame_of([(9, 9), *sides_by_id]), settings)
    for image_id, (height, width) in enumerate([(9, 9), *sides_by_id]):
        covered = np.zeros((height, width), bool)
        own = patches[patches["image_id"] == image_id]
        for y0, x0, rows, columns in own[["y0", "x0", "height", "width"]].itertuples(index=False):
            assert not covered[y0 : y0 + rows, x0 : x0 + columns].all()
            covered[y0 : y0 + rows, x0 : x0 + columns] = True
            assert (rows, columns) == (min(settings.size, height - y0), min(settings.size, width - x0))
        assert covered.all()
        found = list(zip(own["y0"], own["x0"], strict=True))
        assert found == (corners(height, width, settings.size, settings.overlap) if height else [])


def test_an_image_that_comes_back_in_its_old_size_is_cut_a_third_time():
    frames = [frame_of([(9, 9)]), frame_of([(9, 12)]), frame_of([(9, 9)])]
    patches = None
    for frame in frames:
        patches = grow_patches(patches, frame, PatchSettings(16, 4, 2))
    assert patches["excluded"].tolist() == [RESIZED, RESIZED, ""]
    assert patches["width"].tolist() == [9, 12, 9]


# --- the stage


def test_the_table_of_patches_is_that_of_all_images_one_after_the_other(root: Path, out: Path) -> None:
    record = build(root, out)
    expected = [
        (image_id, y0, x0, min(SIZE, height - y0), min(SIZE, width - x0), 8, "")
        for image_id, (height, width) in enumerate(SIDES.values())
        for y0, x0 in corners(height, width)
    ]
    assert expected[:3] == [(0, 0, 0, 64, 64, 8, ""), (0, 0, 48, 64, 64, 8, ""), (0, 0, 96, 64, 44, 8, "")]
    found = patches_of(out)
    assert list(found.drop(columns="patch_id").itertuples(index=False, name=None)) == expected
    assert found["patch_id"].tolist() == list(range(len(expected)))
    assert (record["patches"], record["chunks"]) == (len(expected), -(-len(expected) // PER_CHUNK))
    assert record["images"] == len(SIDES) and record["excluded"] == {}


def test_rows_of_chunks_name_the_image_and_mask_rows_its_mask(root: Path, out: Path) -> None:
    build(root, out)
    patches, stems = patches_of(out), list(SIDES)
    for folder in ("images", "masks"):
        rows = "rows" if folder == "images" else "mask_rows"
        chunks = [rows_of(out, chunk, rows) for chunk in range(len(list((out / rows).iterdir())))]
        assert [len(chunk) for chunk in chunks[:-1]] == [PER_CHUNK] * (len(chunks) - 1)
        found = pd.concat(chunks, ignore_index=True)
        pd.testing.assert_frame_equal(found[["patch_id", "image_id", "y0", "x0"]], patches[found.columns[:4]])
        for image_id, path, size_bytes, mtime_ns in found.iloc[:, [1, 4, 5, 6]].itertuples(index=False):
            assert path == f"{folder}/{stems[image_id]}.png"
            stat = (root / path).stat()
            assert (size_bytes, mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def test_grids_say_where_an_image_begins_and_how_it_is_cut(root: Path, out: Path) -> None:
    build(root, out)
    first, expected = 0, {}
    for image_id, (stem, (height, width)) in enumerate(SIDES.items()):
        places = corners(height, width)
        rows, columns = len({y0 for y0, _ in places}), len({x0 for _, x0 in places})
        size = {"height": height, "width": width, "rows": rows, "columns": columns}
        expected[str(image_id)] = {"first": first, "split": stem.split("/")[0], **size}
        first += len(places)
    assert json.loads((out / "grids.json").read_text()) == expected


def test_a_second_time_nothing_is_written(root: Path, out: Path) -> None:
    build(root, out)
    age(out)
    build(root, out)
    assert not touched(out)


def test_new_images_leave_old_rows_and_full_chunks_as_they_are(root: Path, out: Path) -> None:
    build(root, out)
    before, full = (out / "patches.csv").read_bytes(), len(patches_of(out)) // PER_CHUNK
    age(out)
    write_pair(root, "test/0 comes first", 70, 50)
    build(root, out)
    assert (out / "patches.csv").read_bytes().startswith(before)
    assert patches_of(out)["image_id"].iloc[-2:].tolist() == [len(SIDES)] * 2
    assert not {f"{folder}/{chunk}.csv" for folder in ("rows", "mask_rows") for chunk in range(full)} & touched(out)


def test_an_image_of_another_size_is_cut_anew_and_its_old_patches_are_marked(root: Path, out: Path) -> None:
    build(root, out)
    old = patches_of(out)
    write_pair(root, "test/a", 50, 100)
    build(root, out)
    patches, image_id = patches_of(out), ids_of(out)["test/a"]
    assert set(patches.loc[old["image_id"][lambda ids: ids == image_id].index, "excluded"]) == {RESIZED}
    new = patches.iloc[len(old) :]
    assert list(zip(new["image_id"], new["y0"], new["x0"], strict=True)) == [(image_id, 0, 0), (image_id, 0, 48)]
    mask_rows = pd.concat([rows_of(out, chunk, "mask_rows") for chunk in range(5)])
    assert mask_rows.loc[mask_rows["image_id"] == image_id, "path"].tolist() == [""] * 6 + ["masks/test/a.png"] * 2
    grid = json.loads((out / "grids.json").read_text())[str(image_id)]
    assert grid == {"first": len(old), "split": "test", "height": 50, "width": 100, "rows": 1, "columns": 2}
    assert reasons_of(out)["test/a.png"] == ""


def test_a_vanished_image_keeps_its_patches_and_its_rows(root: Path, out: Path) -> None:
    build(root, out)
    before = written(out)
    (root / "images/train/c.png").unlink()
    build(root, out)
    after = written(out)
    assert reasons_of(out)["train/c.png"] == VANISHED
    same = {name for name in before if before[name] == after[name]}
    assert {"patches.csv", *(name for name in before if name.startswith("rows/"))} <= same
    assert str(ids_of(out)["train/c"]) not in json.loads(after["grids.json"])


def test_an_image_that_comes_back_leaves_everything_as_it_was(root: Path, out: Path) -> None:
    build(root, out)
    before = written(out)
    (root / "images/train/c.png").rename(root / "away")
    build(root, out)
    (root / "away").rename(root / "images/train/c.png")
    build(root, out)
    assert written(out) == before


@pytest.mark.parametrize("settings", [PatchSettings(64, 16, 3), PatchSettings(64, 32, 4), PatchSettings(128, 16, 4)])
def test_other_settings_cut_all_images_anew(root: Path, out: Path, settings: PatchSettings) -> None:
    build(root, out)
    write_pair(root, "test/a", 50, 100)  # its patches would be marked and stay
    build(root, out)
    build(root, out, settings)
    build(root, out.with_name("fresh"), settings)
    assert written(out) == written(out.with_name("fresh"))


def test_an_edited_mask_touches_no_row_of_features_and_an_edited_image_no_row_of_labels(root: Path, out: Path) -> None:
    build(root, out)
    for folder, rows, others in (("masks", "mask_rows", "rows"), ("images", "rows", "mask_rows")):
        age(out)
        os.utime(root / folder / "train/d.png", ns=(1, 2))
        build(root, out)
        patch_id = int(patches_of(out).query(f"image_id == {ids_of(out)['train/d']}")["patch_id"].iloc[0])
        assert f"{rows}/{patch_id // PER_CHUNK}.csv" in touched(out)
        assert not {name for name in touched(out) if name.startswith(f"{others}/")}


# --- what cannot be used


def mark(root: Path, out: Path) -> dict[str, str]:
    build(root, out)
    return {path: reason for path, reason in reasons_of(out).items() if reason}


def test_an_image_without_a_mask_is_marked_and_cut_so_that_its_mask_may_come(root: Path, out: Path) -> None:
    (root / "masks/train/c.png").rename(root / "later.png")
    assert mark(root, out) == {"train/c.png": NO_MASK}
    image_id = ids_of(out)["train/c"]
    assert (patches_of(out)["image_id"] == image_id).sum() == len(corners(*SIDES["train/c"]))
    mask_rows = pd.concat([rows_of(out, chunk, "mask_rows") for chunk in range(4)])
    assert set(mask_rows.loc[mask_rows["image_id"] == image_id, "path"]) == {""}
    assert NO_LABEL not in (out / "manifest.json").read_text()
    before = (out / "patches.csv").read_bytes()
    (root / "later.png").rename(root / "masks/train/c.png")
    assert mark(root, out) == {}
    assert (out / "patches.csv").read_bytes() == before


def test_a_mask_of_another_size_is_marked_with_both_sizes_and_not_read(root: Path, out: Path) -> None:
    write_picture(root / "masks/train/c.png", random_mask(131, 97))
    assert mark(root, out) == {"train/c.png": "mask of 97 × 131 px for an image of 131 × 97 px"}
    rows = pd.concat([rows_of(out, chunk, "mask_rows") for chunk in range(4)])
    assert set(rows.loc[rows["image_id"] == ids_of(out)["train/c"], "path"]) == {""}


def test_a_file_whose_size_cannot_be_read_is_marked_and_has_no_patch(root: Path, out: Path) -> None:
    (root / "images/train/c.png").write_bytes(b"")
    (root / "images/test/a.png").write_bytes(b"no picture at all")
    reasons = mark(root, out)
    assert reasons == {
        "test/a.png": "not an image, or of a format that Pillow does not know",
        "train/c.png": "empty file",
    }
    assert set(patches_of(out)["image_id"]) == {1, 3, 4}


def test_a_mask_whose_size_cannot_be_read_is_named_as_the_mask(root: Path, out: Path) -> None:
    (root / "masks/train/c.png").write_bytes(b"")
    assert mark(root, out) == {"train/c.png": "its mask: empty file"}


def test_the_first_reason_stays_where_there_are_two(root: Path, out: Path) -> None:
    (root / "masks/train/c.png").unlink()
    (root / "images/train/c.png").write_bytes(b"")
    assert mark(root, out) == {"train/c.png": NO_MASK}


def test_an_image_of_one_pixel_is_one_patch(root: Path, out: Path) -> None:
    write_pair(root, "train/pixel", 1, 1)
    assert mark(root, out) == {}
    own = patches_of(out).query(f"image_id == {ids_of(out)['train/pixel']}")
    assert own[["y0", "x0", "height", "width"]].to_numpy().tolist() == [[0, 0, 1, 1]]


def test_marked_images_have_no_grid_to_be_stitched_by(root: Path, out: Path) -> None:
    write_picture(root / "masks/train/c.png", random_mask(10, 10))
    build(root, out)
    assert set(json.loads((out / "grids.json").read_text())) == {"0", "1", "3", "4"}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_that_is_left_empty_stops_it_before_anything_is_written(root: Path, out: Path, split: str) -> None:
    for file in (root / "images" / split).iterdir():
        file.write_bytes(b"")
    share = {"train": "dataset.split.val or dataset.split.test"}.get(split, f"dataset.split.{split}")
    with pytest.raises(UnchokeError, match=f"(?s)The {split} split is empty.*change {share};"):
        build(root, out)
    assert not out.exists()


def test_a_table_of_images_and_masks_is_cut_like_a_folder(root: Path, out: Path) -> None:
    rows = [f"images/{stem}.png,masks/{stem}.png,{stem.split('/')[0]}" for stem in SIDES]
    (root / "pairs.csv").write_text("\n".join(["path,mask,split", *rows]) + "\n")
    build(root, out)
    build(root / "pairs.csv", out.with_name("listed"))
    for name in ("patches.csv", "grids.json", "rows/0.csv", "mask_rows/2.csv"):
        assert written(out)[name] == written(out.with_name("listed"))[name]


def test_a_mask_that_a_table_names_and_nobody_has_is_marked(root: Path, out: Path) -> None:
    rows = [f"images/{stem}.png,masks/{stem}.png,{stem.split('/')[0]}" for stem in SIDES]
    (root / "pairs.csv").write_text("\n".join(["path,mask,split", *rows]) + "\n")
    (root / "masks/train/d.png").unlink()
    assert mark(root / "pairs.csv", out) == {"train/d.png": "its mask: no such file or directory"}


def test_settings_are_kept_with_the_manifest(root: Path, out: Path) -> None:
    assert build(root, out)["patch_settings"] == {"size": 64, "overlap": 16, "per_chunk": 4}
    assert json.loads((out / "manifest.json").read_text())["patch_settings"] == vars(SETTINGS)


def test_pictures_are_measured_as_they_are_shown(root: Path, out: Path) -> None:
    """A JPEG that EXIF turns by a quarter has the mask's size when it stands upright."""
    turned, exif = Image.fromarray(random_picture(97, 131)), Image.Exif()
    exif[0x0112] = 6
    turned.save(root / "images/train/f.jpg", exif=exif)
    write_picture(root / "masks/train/f.png", random_mask(131, 97))
    assert mark(root, out) == {}
    own = patches_of(out).query(f"image_id == {ids_of(out)['train/f.jpg']}")
    assert (own["y0"] + own["height"]).max() == 131
