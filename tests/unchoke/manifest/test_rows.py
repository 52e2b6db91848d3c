"""A moved image keeps id, split and its line in a rows file, in all kinds of sources; jobs find it where it is now."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_patches import SIDES, build, manifest_of, write_pairs

from unchoke.manifest.images import SplitSettings, build_manifest, settle_groups
from unchoke.manifest.moves import FORGOTTEN, VANISHED
from unchoke.sources.digests import read_digests
from unchoke.sources.source import image_root
from unchoke.sources.tar_shards import Sample, write_shards
from unchoke.store import chunks
from unchoke.store.tables import MANIFEST_COLUMNS, MOVE_COLUMNS, PATCH_ROW_COLUMNS, ROW_COLUMNS, read_rows, read_table

NUMBERS = range(20)
CHUNK = 8


class Source:
    """A source of 20 images of two classes, and its manifest."""

    def __init__(self, folder: Path, kind: str, fields: dict[str, Any]) -> None:
        self.folder, self.kind, self.fields = folder, kind, fields
        self.path = folder / "images.csv" if kind == "csv" else folder
        self.out = folder.parent / "out"

    def listed(self, **how: Any) -> pd.DataFrame:
        place = (CHUNK, self.out / "manifest.csv", self.out / "rows")
        build_manifest(self.kind, self.path, None, SplitSettings(0, 0.2, 0.2), *place, self.fields, **how)
        return read_table(self.out / "manifest.csv", MANIFEST_COLUMNS)

    def rows(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (self.out / "rows").iterdir()}

    def digests(self) -> list[str]:
        """Of all images, in the order of their ids, where jobs find them now."""
        files = sorted((self.out / "rows").iterdir(), key=lambda file: int(file.stem))
        paths = pd.concat([read_rows(file, ROW_COLUMNS) for file in files])["path"].tolist()
        return read_digests(self.kind, image_root(self.kind, self.path), paths)

    def encode(self) -> None:
        """Records as chunks of features have them."""
        record_digests(self.out, ROW_COLUMNS, dict(enumerate(self.digests())))


def record_digests(out: Path, columns: dict[str, type], digests: dict[int, str]) -> None:
    for file in (out / "rows").iterdir():
        rows = read_table(file, columns).drop_duplicates("image_id")
        states = zip(rows["image_id"].tolist(), rows["size_bytes"].tolist(), rows["mtime_ns"].tolist(), strict=True)
        known = {str(number): [size, time, digests[number]] for number, size, time in states}
        arrays = {"avg": np.zeros((CHUNK, 1), np.float16), chunks.VALID: np.ones(CHUNK, bool)}
        chunks.write_chunk(out / "features/x.zarr", int(file.stem), arrays, {"digests": known})


def write_csv(source: Source, names: dict[int, str], splits: dict[int, str] | None = None) -> None:
    with source.path.open("w", newline="") as file:
        rows = [(names[number], "ab"[number % 2], (splits or {}).get(number, "")) for number in names]
        csv.writer(file).writerows([("path", "label", "split"), *rows])


def folder_source(folder: Path) -> Source:
    for number in NUMBERS:
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        (folder / "ab"[number % 2] / f"{number:02d}.png").write_bytes(bytes([number]) * (5 + number % 3))
    return Source(folder, "folder", {})


def csv_source(folder: Path) -> Source:
    folder.mkdir()
    source = Source(folder, "csv", {})
    for number in NUMBERS:
        (folder / f"{number:02d}.png").write_bytes(bytes([number]) * (5 + number % 3))
    write_csv(source, {number: f"{number:02d}.png" for number in NUMBERS})
    return source


def npy_source(folder: Path) -> Source:
    folder.mkdir()
    np.save(folder / "x.npy", np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8))
    np.save(folder / "y.npy", np.arange(20) % 2)
    return Source(folder, "npy", {"images": {"": "x.npy"}, "labels": {"": "y.npy"}})


def tar_source(folder: Path) -> Source:
    samples = [Sample("", f"{number:03d}", "ab"[number % 2], "png", bytes([number]) * 6) for number in NUMBERS]
    write_shards(folder, samples, 10)
    return Source(folder, "webdataset", {})


def move_folder(source: Source) -> None:
    (source.folder / "a").rename(source.folder / "0 new class")
    (source.folder / "b/01.png").rename(source.folder / "b/99.png")


def move_csv(source: Source) -> None:
    for number in NUMBERS:
        (source.folder / f"{number:02d}.png").rename(source.folder / f"image {number}.png")
    write_csv(source, {number: f"image {number}.png" for number in NUMBERS})


def move_npy(source: Source) -> None:
    (source.folder / "x.npy").rename(source.folder / "other.npy")
    source.fields["images"] = {"": "other.npy"}


def move_tar(source: Source) -> None:
    first, second = sorted(source.folder.glob("*.tar"))
    second.rename(source.folder / "images-000007.tar")
    first.rename(second)


KINDS = {
    "folder": (folder_source, move_folder),
    "csv": (csv_source, move_csv),
    "npy": (npy_source, move_npy),
    "webdataset": (tar_source, move_tar),
}


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Source:
    make: Callable[[Path], Source] = KINDS[getattr(request, "param", "folder")][0]
    return make(tmp_path / "data")


@pytest.mark.parametrize(("source", "move"), [(kind, move) for kind, (_, move) in KINDS.items()], indirect=["source"])
def test_moved_images_keep_id_split_and_rows_and_jobs_find_them(source: Source, move: Callable[[Source], None]) -> None:
    before = source.listed()
    source.encode()
    rows, digests = source.rows(), source.digests()
    move(source)
    after = source.listed()
    kept = ["image_id", "split", "size_bytes", "mtime_ns", "excluded"]
    pd.testing.assert_frame_equal(after[kept], before[kept])
    assert (after["path"] != before["path"]).sum() == len(read_table(source.out / "moves.csv", MOVE_COLUMNS)) > 0
    assert source.rows() == rows
    assert source.digests() == digests
    pd.testing.assert_frame_equal(source.listed(), after)  # and it holds at the next listing
    assert source.rows() == rows


def test_a_second_move_and_the_way_back_change_no_row(source: Source) -> None:
    before = source.listed()
    source.encode()
    rows, digests = source.rows(), source.digests()
    for old, new in (("a", "c"), ("c", "0"), ("0", "a")):
        (source.folder / old).rename(source.folder / new)
        assert source.listed()["split"].tolist() == before["split"].tolist()
        assert (source.rows(), source.digests()) == (rows, digests)
    assert not len(read_table(source.out / "moves.csv", MOVE_COLUMNS))
    assert not list((source.out / "moved").iterdir())


def test_touched_files_keep_their_rows_and_edited_ones_do_not(source: Source) -> None:
    before = source.listed()
    source.encode()
    rows = source.rows()
    for file in (source.folder / "a").iterdir():
        file.write_bytes(file.read_bytes())
    (source.folder / "b/01.png").write_bytes(b"edited")
    after = source.listed()
    edited = before.index[before["path"] == "b/01.png"][0]
    assert after["image_id"].tolist() == before["image_id"].tolist()
    assert {name for name, data in source.rows().items() if data != rows[name]} == {f"{edited // CHUNK}.csv"}
    line = read_table(source.out / f"rows/{edited // CHUNK}.csv", ROW_COLUMNS).set_index("image_id").loc[edited]
    assert line["mtime_ns"] == after["mtime_ns"][edited] != before["mtime_ns"][edited]


def test_a_listing_that_was_killed_before_the_manifest_is_made_up_for(source: Source) -> None:
    source.listed()
    source.encode()
    rows = source.rows()
    (source.out / "kept").mkdir()
    for name in ("manifest.csv", "manifest.json"):
        shutil.copy(source.out / name, source.out / "kept")
    (source.folder / "a").rename(source.folder / "c")
    after = source.listed()
    for name in ("manifest.csv", "manifest.json"):
        shutil.copy(source.out / "kept" / name, source.out)
    pd.testing.assert_frame_equal(source.listed(), after)
    assert source.rows() == rows


def test_a_vanished_image_whose_path_another_has_now_has_no_file(source: Source) -> None:
    before = source.listed()
    source.encode()
    (source.folder / "a/00.png").rename(source.folder / "b/03.png")  # over another of the same size
    after = source.listed()
    over, gone = (before.index[before["path"] == path][0] for path in ("a/00.png", "b/03.png"))
    assert after["excluded"].tolist() == [VANISHED if number == gone else "" for number in after["image_id"]]
    assert (after["path"][over], after["label"][over]) == ("b/03.png", "b")
    assert source.digests()[gone] == ""


def test_a_split_that_the_data_gives_is_the_one_of_a_moved_image(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = csv_source(tmp_path / "data")
    names = {number: f"{number:02d}.png" for number in NUMBERS}
    splits = {number: "test" if number < 4 else "val" if number < 8 else "train" for number in NUMBERS}
    write_csv(source, names, splits)
    source.listed()
    source.encode()
    (source.folder / "00.png").rename(source.folder / "moved.png")
    write_csv(source, {**names, 0: "moved.png"}, {**splits, 0: "train"})
    assert (source.listed()["split"][0], source.listed()["path"][0]) == ("train", "moved.png")
    said = capsys.readouterr().out
    assert "1 images moved: they keep id, split and features" in said
    assert "1 of them are in another split now" in said


def test_forgotten_images_lose_label_and_split_and_count_nowhere(source: Source) -> None:
    before = source.listed()
    source.encode()
    rows, kept = source.rows(), (source.folder / "a/00.png").read_bytes()
    (source.folder / "a/00.png").unlink()
    frame = source.listed(forget=True)
    assert frame.loc[0, ["label", "split", "group", "excluded"]].tolist() == ["", "", "", FORGOTTEN]
    pd.testing.assert_frame_equal(frame[1:], before[1:])
    record = json.loads((source.out / "manifest.json").read_text())
    assert (record["images"], record["excluded"]) == (19, {})
    assert source.rows() == rows
    (source.folder / "a/00.png").write_bytes(kept)
    assert source.listed()["excluded"].tolist() == [FORGOTTEN] + [""] * 20  # it came back as a new image


def test_a_moved_image_takes_the_split_of_a_group_that_it_came_into() -> None:
    split = pd.Series(["train", "val", "test", "test", "val"])
    group = pd.Series(["one", "one", "one", "two", ""])
    drawn = np.array([True] * 5)
    assert settle_groups(split, group, drawn, {1, 3, 4}).tolist() == ["train", "train", "test", "test", "val"]
    assert settle_groups(split[:2], group[:2], drawn[:2], {0, 1}).tolist() == ["train", "train"]
    assert settle_groups(split[:2], group[:2], np.array([True, False]), {1}).tolist() == ["train", "val"]


def test_an_image_that_moves_with_its_mask_keeps_its_patches(tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "out"
    write_pairs(root)
    build(root, out)
    before, features = manifest_of(out), {file.name: file.read_bytes() for file in (out / "rows").iterdir()}
    record_digests(out, PATCH_ROW_COLUMNS, dict(enumerate(read_digests("masks", root, before["path"].tolist()))))
    for folder in ("images", "masks"):
        (root / folder / "train/c.png").rename(root / folder / "train/renamed.png")
    build(root, out)
    assert manifest_of(out)["image_id"].tolist() == list(range(len(SIDES)))
    assert "images/train/renamed.png" in manifest_of(out)["path"].tolist()
    assert {file.name: file.read_bytes() for file in (out / "rows").iterdir()} == features
    moved = pd.concat([read_rows(file, PATCH_ROW_COLUMNS) for file in (out / "rows").iterdir()])
    assert "images/train/renamed.png" in set(moved["path"]) and "images/train/c.png" not in set(moved["path"])
