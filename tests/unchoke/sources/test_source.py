"""Sources list every image once, with what they know of it, and say what they left out."""

import csv
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from unchoke.config.dataset import KINDS
from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes
from unchoke.sources.kinds.digits import write_digits
from unchoke.sources.source import image_root, list_images, listing_digest, prerequisites

AWKWARD_NAMES = [
    "a b.png",
    'it\'s "a".png',
    "two\nlines.png",
    "猫/日本 é.png",
    "comma,.png",
    os.fsdecode(b"caf\xe9.png"),
]


def write_csv(path, *rows, encoding="utf-8"):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding, "surrogateescape"))
    return path


def facts(listing):
    """Label, split and group of every image by its path."""
    return {image.path: (image.label, image.split, image.group) for image in listing.images}


# --- folder


def test_the_first_folder_is_the_class(tmp_path, place):
    place(tmp_path, "cat/1.png", "cat/2.JPG", "dog/deep/er/3.tiff", "4.webp")
    assert facts(list_images("folder", tmp_path)) == {
        "cat/1.png": ("cat", "", ""),
        "cat/2.JPG": ("cat", "", ""),
        "dog/deep/er/3.tiff": ("dog", "", ""),
        "4.webp": ("", "", ""),
    }


def test_size_and_time_are_those_of_the_file(tmp_path, place):
    place(tmp_path, "cat/1.png")
    os.utime(tmp_path / "cat/1.png", ns=(5, 1_234_567_890_123_456_789))
    (image,) = list_images("folder", tmp_path).images
    assert (image.size_bytes, image.mtime_ns) == (len(b"pixels"), 1_234_567_890_123_456_789)


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("training", "valid", "testing"), ("train", "validation", "test")],
)
def test_folders_that_are_named_as_splits_are_splits(tmp_path, place, train, val, test):
    place(tmp_path, f"{train}/cat/1.png", f"{val}/dog/deep/2.png", f"{test}/cat/3.png", f"{train}/4.png")
    assert facts(list_images("folder", tmp_path)) == {
        f"{train}/cat/1.png": ("cat", "train", ""),
        f"{val}/dog/deep/2.png": ("dog", "val", ""),
        f"{test}/cat/3.png": ("cat", "test", ""),
        f"{train}/4.png": ("", "train", ""),
    }


@pytest.mark.parametrize("other", ["val/1.png", "cat/1.png"])
def test_folders_are_classes_where_train_is_missing_or_one_is_no_split(tmp_path, place, other):
    place(tmp_path, "test/2.png", other, *(["train/3.png"] if "cat" in other else []))
    assert all(
        (label, split) == (Path(path).parent.name, "")
        for path, (label, split, _) in facts(list_images("folder", tmp_path)).items()
    )


def test_other_files_are_left_out_and_counted_and_hidden_ones_left_out(tmp_path, place):
    place(tmp_path, "cat/1.png", "cat/notes.txt", "dog/more.TXT", "README", "cat/.2.png", ".git/3.png", "cat/._1.png")
    listing = list_images("folder", tmp_path)
    assert list(facts(listing)) == ["cat/1.png"]
    assert listing.left_out == {".txt": 2, "no ending": 1}


def test_links_are_followed_and_loops_end(tmp_path, place):
    place(tmp_path / "data", "cat/1.png")
    place(tmp_path / "elsewhere", "2.png")
    (tmp_path / "data/cat/again").symlink_to(tmp_path / "data")
    (tmp_path / "data/dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/dog/3.png").symlink_to("2.png")
    assert set(facts(list_images("folder", tmp_path / "data"))) == {"cat/1.png", "dog/2.png", "dog/3.png"}


@pytest.mark.parametrize("target", ["nowhere.png", "2.png"])
def test_a_link_that_leads_nowhere_has_no_size_as_in_a_csv(tmp_path, place, target):
    place(tmp_path, "cat/1.png")
    (tmp_path / "cat/2.png").symlink_to(target)
    sizes = {image.path: image.size_bytes for image in list_images("folder", tmp_path).images}
    assert sizes == {"cat/1.png": len(b"pixels"), "cat/2.png": -1}


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [(r"slide_(\d+)", ["7", "12"]), (r"slide_\d+", ["slide_7", "slide_12"]), (r"^\w+/", ["cat/"] * 2)],
)
def test_a_group_is_what_its_pattern_finds(tmp_path, place, pattern, groups):
    place(tmp_path, "cat/slide_7_a.png", "cat/slide_12_b.png")
    found = facts(list_images("folder", tmp_path, pattern))
    assert [found[path][2] for path in ("cat/slide_7_a.png", "cat/slide_12_b.png")] == groups


def test_an_image_without_a_group_is_named(tmp_path, place):
    place(tmp_path, "cat/slide_7.png", "cat/odd.png")
    with pytest.raises(UnchokeError, match=r"cat/odd\.png"):
        list_images("folder", tmp_path, r"slide_(\d+)")


def test_a_pattern_that_is_none_is_named(tmp_path, place):
    with pytest.raises(UnchokeError, match=r"not a regular expression.*\n.*slide_\("):
        list_images("folder", place(tmp_path, "cat/1.png"), "slide_(")


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["", "cat/", "dog/", "dog/deep/"]), min_size=1))
def test_a_listing_is_the_set_of_the_files(folder_of):
    with tempfile.TemporaryDirectory() as root:
        names = {f"{folder}{stem}.png" for stem, folder in folder_of.items()}
        for name in names:
            Path(root, name).parent.mkdir(parents=True, exist_ok=True)
            Path(root, name).touch()
        listed = [image.path for image in list_images("folder", Path(root)).images]
    assert len(listed) == len(names)
    assert set(listed) == names


@given(st.sets(st.from_regex(r"[a-c]{1,2}/[0-9a-c]{1,3}\.png", fullmatch=True), min_size=1, max_size=12))
def test_images_are_listed_in_the_order_of_their_paths(names):
    with tempfile.TemporaryDirectory() as root:
        for name in names:
            (Path(root) / name).parent.mkdir(exist_ok=True)
            (Path(root) / name).touch()
        table = write_csv(Path(root) / "images.csv", ["path", "label"], *([name, "cat"] for name in names))
        for kind, path in (("folder", Path(root)), ("csv", table)):
            assert [image.path for image in list_images(kind, path).images] == sorted(names)


# --- csv


def test_a_csv_gives_label_split_and_group(tmp_path, place):
    place(tmp_path, "x/1.png")
    table = write_csv(
        tmp_path / "images.csv",
        ["split", "note", "path", "group", "label"],
        ["Valid", "kept", "x/1.png", "p1", "cat"],
        [" train ", "", "gone.png", "", ""],
    )
    second, first = list_images("csv", table).images  # in the order of their paths
    assert first[:5] == ("x/1.png", "cat", "val", "p1", len(b"pixels"))
    assert first.mtime_ns == (tmp_path / "x/1.png").stat().st_mtime_ns
    assert second == ("gone.png", "", "train", "", -1, 0)


def test_split_and_group_may_be_missing(tmp_path):
    table = write_csv(tmp_path / "images.csv", ["path", "label"], ["1.png", "cat"])
    assert facts(list_images("csv", table)) == {"1.png": ("cat", "", "")}


def test_the_group_may_be_another_column(tmp_path):
    table = write_csv(tmp_path / "images.csv", ["path", "label", "group", "patient"], ["1.png", "cat", "g", "p"])
    assert facts(list_images("csv", table, "patient")) == {"1.png": ("cat", "", "p")}


def test_a_mark_of_byte_order_is_no_part_of_the_first_column(tmp_path):
    table = write_csv(tmp_path / "images.csv", ["path", "label"], ["1.png", "cat"], encoding="utf-8-sig")
    assert facts(list_images("csv", table)) == {"1.png": ("cat", "", "")}


@pytest.mark.parametrize(
    ("columns", "group", "expected"),
    [
        (["paths", "label"], None, "rename 'paths' to 'path'"),
        (["path", "labels"], None, "rename 'labels' to 'label'"),
        (["path", "label", "patients"], "patient", "rename 'patients' to 'patient'"),
        (["path;label"], None, "with commas between"),
        (["path", "x"], None, "add the column 'label'"),
    ],
)
def test_a_missing_column_is_named_with_the_nearest(tmp_path, columns, group, expected):
    table = write_csv(tmp_path / "images.csv", columns, ["1.png"] * len(columns))
    with pytest.raises(UnchokeError, match="The CSV has no column") as caught:
        list_images("csv", table, group)
    assert expected in str(caught.value)
    assert ", ".join(columns) in str(caught.value)


@pytest.mark.parametrize("again", ["a.png", "./a.png", "x/../a.png", ".//a.png"])
def test_a_path_that_stands_twice_is_named_with_its_rows(tmp_path, again):
    table = write_csv(tmp_path / "images.csv", ["path", "label"], ["a.png", "cat"], ["b.png", "cat"], [again, "dog"])
    with pytest.raises(UnchokeError, match="twice") as caught:
        list_images("csv", table)
    assert f"{again!r} in rows 2 and 4" in str(caught.value)


def test_an_unknown_split_is_named_with_its_row_and_the_nearest(tmp_path):
    table = write_csv(
        tmp_path / "images.csv", ["path", "label", "split"], ["a.png", "cat", "test"], ["b.png", "cat", "trian"]
    )
    with pytest.raises(UnchokeError, match="'trian'") as caught:
        list_images("csv", table)
    assert "images.csv, row 3" in str(caught.value)
    assert "did you mean 'train'?" in str(caught.value)


@pytest.mark.parametrize("row", [["", "cat"], []])
def test_a_row_without_a_path_is_named_and_an_empty_line_is_none(tmp_path, row):
    table = write_csv(tmp_path / "images.csv", ["path", "label"], ["a.png", "cat"], row, ["b.png", "dog"])
    if row:
        with pytest.raises(UnchokeError, match="row 3"):
            list_images("csv", table)
    else:
        assert list(facts(list_images("csv", table))) == ["a.png", "b.png"]


def test_a_row_with_more_cells_than_columns_is_refused(tmp_path):
    (tmp_path / "images.csv").write_text("path,label\nred, green.png,cat\n")
    with pytest.raises(UnchokeError, match="row 2"):
        list_images("csv", tmp_path / "images.csv")


@pytest.mark.parametrize("content", [None, b'path,label\n"a.png,cat\n'])
def test_what_is_no_csv_is_named(tmp_path, content):
    path = tmp_path / "images.csv"
    if content:
        path.write_bytes(content)
    with pytest.raises(UnchokeError, match=r"images\.csv"):
        list_images("csv", path)


# --- every kind


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_awkward_names_stay_as_they_are(tmp_path, place, name):
    place(tmp_path, f"cat/{name}")
    from_csv = write_csv(tmp_path / "images.csv", ["path", "label"], [f"cat/{name}", "cat"])
    from_folder = list_images("folder", tmp_path).images
    assert [image.path for image in from_folder] == [f"cat/{name}"]
    assert list_images("csv", from_csv).images == from_folder
    assert listing_digest("folder", tmp_path) == listing_digest("csv", from_csv)


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_that_is_not_there_is_named(tmp_path, kind):
    with pytest.raises(UnchokeError, match=r"dataset\.path") as caught:
        list_images(kind, tmp_path / "gone")
    assert str(tmp_path / "gone") in str(caught.value)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, place):
    with pytest.raises(UnchokeError, match="a file"):
        list_images("folder", place(tmp_path, "cat.png") / "cat.png")


def test_an_empty_folder_is_named_with_what_it_holds_in_place_of_images(tmp_path, place):
    place(tmp_path, "cat/1.txt", "cat/2.txt", "cat/3.md")
    with pytest.raises(UnchokeError, match="no images") as caught:
        list_images("folder", tmp_path)
    assert "2 × .txt, 1 × .md" in str(caught.value)


def test_a_csv_without_rows_has_no_images(tmp_path):
    with pytest.raises(UnchokeError, match="no images"):
        list_images("csv", write_csv(tmp_path / "images.csv", ["path", "label"]))


def test_the_digest_moves_with_the_images_and_with_nothing_else(tmp_path, place):
    place(tmp_path, "cat/1.png", "dog/2.png")
    os.utime(tmp_path / "cat/1.png", ns=(0, 0))
    digests = [listing_digest("folder", tmp_path)]
    place(tmp_path, "cat/notes.txt", "cat/.hidden.png")
    assert listing_digest("folder", tmp_path) == digests[0]
    changes = {
        "added": lambda: place(tmp_path, "cat/3.png"),
        "removed": lambda: (tmp_path / "dog/2.png").unlink(),
        "touched": lambda: os.utime(tmp_path / "cat/1.png", ns=(0, 1)),
        "grown": lambda: ((tmp_path / "cat/1.png").write_bytes(b"more"), os.utime(tmp_path / "cat/1.png", ns=(0, 1))),
        "relabelled": lambda: (tmp_path / "cat").rename(tmp_path / "owl"),
    }
    for change in changes.values():
        change()
        digests.append(listing_digest("folder", tmp_path))
    assert len(set(digests)) == 1 + len(changes)


def test_the_digest_of_a_csv_moves_with_its_labels(tmp_path):
    digests = {
        listing_digest("csv", write_csv(tmp_path / "i.csv", ["path", "label"], ["1.png", label])) for label in "ab"
    }
    assert len(digests) == 2


def test_data_of_the_user_needs_no_rule_and_the_digits_need_their_record(tmp_path):
    assert prerequisites("folder", tmp_path) == prerequisites("csv", tmp_path) == []
    assert prerequisites("digits", tmp_path) == [str(tmp_path / "digits.json")]


# --- digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder)
    return folder


def contents_and_times(folder):
    return {
        str(path.relative_to(folder)): (sha256_bytes(path.read_bytes()), path.stat().st_mtime_ns)
        for path in folder.glob("*/*")
    }


def test_the_digits_are_those_of_scikit_learn_and_six_planted_files(digits):
    listing = list_images("digits", digits)
    assert len(listing.images) == 1797 + 6
    assert {image.label for image in listing.images} == set("0123456789")
    known = load_digits()
    for number, (label, grey_HW) in enumerate(zip(known.target, known.images, strict=True)):
        pixels_HW = np.asarray(Image.open(digits / str(label) / f"{number:04d}.png"))
        np.testing.assert_array_equal(pixels_HW, np.rint(grey_HW / 16 * 255))


def test_the_planted_files_are_flawed_as_promised(digits):
    files = {path.name: path.read_bytes() for path in digits.glob("*/*")}
    copies = [name for name in files if "copy" in name]
    assert len(copies) == 3
    assert all(files[name] == files[name.replace("-copy", "")] for name in copies)
    assert Image.open(digits / "8/blank.png").getextrema() == (0, 0)
    for name in ("cut-short.png", "no-image.png"):
        with pytest.raises(OSError), Image.open(io.BytesIO(files[name])) as image:
            image.load()


def test_writing_the_digits_again_gives_the_same_bytes_and_times(digits, tmp_path):
    expected = contents_and_times(digits)
    (tmp_path / "7").mkdir()
    (tmp_path / "7/no-image.png").write_bytes(b"damaged")
    write_digits(tmp_path)
    assert contents_and_times(tmp_path) == expected
    assert (tmp_path / "digits.json").read_bytes() == (digits / "digits.json").read_bytes()


def test_the_digest_of_the_digits_is_there_before_they_are(digits, tmp_path):
    assert listing_digest("digits", tmp_path / "gone") == listing_digest("digits", digits)


def test_the_digits_are_not_written_among_other_things(tmp_path, place):
    place(tmp_path, "holiday.jpg", "10/a.png")
    with pytest.raises(UnchokeError, match=r"10/a\.png, holiday\.jpg"):
        write_digits(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["10", "holiday.jpg"]


def test_the_digits_are_not_written_among_images_of_the_same_classes(tmp_path, place):
    with pytest.raises(UnchokeError, match="other things"):
        write_digits(place(tmp_path, "7/mine.png"))


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("folder", "images", "images"),
        ("csv", "table.csv", "."),
        ("masks", "images", "images"),
        ("masks", "table.csv", "."),
    ],
)
def test_paths_of_a_table_are_below_its_folder(tmp_path, kind, name, expected):
    (tmp_path / "images").mkdir()
    (tmp_path / "table.csv").touch()
    assert image_root(kind, tmp_path / name) == tmp_path / expected
