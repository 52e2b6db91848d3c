"""Text that looks the same is the same: pure functions, and every place where people's text comes in."""

import csv
import io
import os
import unicodedata

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.sources.csv_files import read_csv
from unchoke.sources.kinds import masks
from unchoke.sources.source import list_images
from unchoke.texts import clean_label, clean_text, decode_text, spellings

COMPOSED, APART = "caf\u00e9", "cafe\u0301"  # é as one character (NFC), and as e with an accent (NFD)
UNSEEN = ["\ufeff", "\0", " ", "\u00a0", "\t", "\u200b", "\u200e", "\u2060", "\r\n"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]  # the last two write their mark


@given(st.text(), st.text(st.sampled_from("".join(UNSEEN)), max_size=3))
def test_what_nobody_sees_at_the_ends_changes_nothing(text, unseen):
    clean = clean_text(text)
    assert clean_text(clean) == clean == clean_text(unseen + text + unseen)
    assert clean == clean_text(unicodedata.normalize("NFD", text)) == unicodedata.normalize("NFC", clean)
    assert clean in unicodedata.normalize("NFC", text)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_plain_text_stays(text):
    assert clean_text(text) == text


@given(st.integers(), st.integers(1, 6))
def test_a_whole_number_is_one_label_however_it_is_written(number, zeros):
    assert clean_label(f" {number}.{'0' * zeros}\0") == clean_label(str(number)) == str(number)


@pytest.mark.parametrize("text", ["3.10", "v3.0", "3.0a", "007", "007.0", "1e3", "3.", ".0", "1.0.0", "٣.0", "-0"])
def test_other_text_with_digits_stays(text):
    assert clean_label(text) == text


def test_minus_nothing_is_nothing():
    assert clean_label("-0.0") == "0"


@given(st.text(), st.sampled_from(ENCODINGS))
def test_text_is_read_in_any_encoding_with_a_mark(text, encoding):
    if text.startswith("\ufeff") and encoding == "utf-8":
        text = text.lstrip("\ufeff")
    assert decode_text(text.encode(encoding)) == text


def test_bytes_that_are_no_utf_8_survive():
    assert decode_text(b"caf\xe9") == os.fsdecode(b"caf\xe9")


@given(st.lists(st.sampled_from(["a", COMPOSED, APART, "猫"]), min_size=1, max_size=4), st.data())
def test_a_path_is_found_whichever_form_each_folder_has(parts, data):
    on_disk = [unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD"])), part) for part in parts]
    written = data.draw(st.sampled_from(["", " ", "\ufeff"])) + "/".join(parts)
    assert "/".join(on_disk) in {written, *spellings(written)}


# --- a table


def csv_bytes(*rows, encoding="utf-8"):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_is_read_in_any_encoding_with_a_mark(tmp_path, place, encoding):
    place(tmp_path, "1.png", "2.png")
    rows = ["\ufeffpath ", " label\0"], ["1.png", "é"], ["2.png", " b\u00a0"]
    (tmp_path / "i.csv").write_bytes(csv_bytes(*rows, encoding=encoding))
    assert [image[:2] for image in list_images("csv", tmp_path / "i.csv").images] == [("1.png", "é"), ("2.png", "b")]


def test_labels_groups_and_splits_of_a_table_are_clean(tmp_path, place):
    place(tmp_path, *"1234")
    rows = [
        ["1", COMPOSED, "train", "7"],
        ["2", f"\ufeff{APART} ", " Train\0", "7.0"],
        ["3", "3.0", "val\u200b", f"p {APART}"],
        ["4", "3", "\u00a0", f"p {COMPOSED}"],
    ]
    (tmp_path / "i.csv").write_bytes(csv_bytes(["path", "label", "split", "group"], *rows))
    assert [image[1:4] for image in list_images("csv", tmp_path / "i.csv").images] == [
        (COMPOSED, "train", "7"),
        (COMPOSED, "train", "7"),
        ("3", "val", f"p {COMPOSED}"),
        ("3", "", f"p {COMPOSED}"),
    ]


@pytest.mark.parametrize(("on_disk", "in_table"), [(COMPOSED, APART), (APART, COMPOSED)])
def test_a_file_is_found_under_the_form_of_its_name(tmp_path, place, on_disk, in_table):
    place(tmp_path, f"{on_disk}/{on_disk}.png", "b.png")
    rows = [f"\ufeff{in_table}/{in_table}.png", "cat"], ["b.png ", "dog"], ["gone .png ", "dog"]
    (tmp_path / "i.csv").write_bytes(csv_bytes(["path", "label"], *rows))
    sizes = {image.path: image.size_bytes for image in list_images("csv", tmp_path / "i.csv").images}
    assert sizes == {f"{on_disk}/{on_disk}.png": 6, "b.png": 6, "gone .png ": -1}


def test_two_files_whose_names_look_alike_stay_two_files(tmp_path, place):
    place(tmp_path, f"{COMPOSED}.png", f"{APART}.png")
    (tmp_path / "i.csv").write_bytes(csv_bytes(["path", "label"], [f"{COMPOSED}.png", "a"], [f"{APART}.png", "b"]))
    labels = {image.path: image.label for image in list_images("csv", tmp_path / "i.csv").images}
    assert labels == {f"{COMPOSED}.png": "a", f"{APART}.png": "b"}


def test_two_spellings_of_one_file_are_two_rows_for_it(tmp_path, place):
    place(tmp_path, f"{COMPOSED}.png")
    (tmp_path / "i.csv").write_bytes(csv_bytes(["path", "label"], [f"{COMPOSED}.png", "a"], [f"{APART}.png", "b"]))
    with pytest.raises(UnchokeError, match=r"(?s)twice.*rows 2 and 3"):
        list_images("csv", tmp_path / "i.csv")


@pytest.mark.parametrize(
    "header", [["path", "label", "label"], ["path", "label", " label"], ["\ufeffpath", "label", "path\0", ""]]
)
@pytest.mark.parametrize("lines_before", [0, 2])
def test_a_column_that_stands_twice_is_named_with_its_line(tmp_path, header, lines_before):
    (tmp_path / "i.csv").write_bytes(b"\n" * lines_before + csv_bytes(header, ["a", "b", "c"]))
    with pytest.raises(
        UnchokeError, match=rf"(?s)column '(path|label)' twice.*, line {1 + lines_before}$|line"
    ) as caught:
        list_images("csv", tmp_path / "i.csv")
    message = str(caught.value)
    assert "twice" in message and f"i.csv, line {1 + lines_before}" in message


def test_columns_without_a_name_may_be_many(tmp_path):
    (tmp_path / "i.csv").write_bytes(csv_bytes(["", "path", " ", "label"], ["0", "a.png", "", "cat"]))
    assert [image[:2] for image in list_images("csv", tmp_path / "i.csv").images] == [("a.png", "cat")]


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path):
    (tmp_path / "i.csv").write_text('path,label\n\n"a\nb",cat\nc,d,e\n')
    with pytest.raises(UnchokeError, match="row 4: c, d, e"):
        read_csv(tmp_path / "i.csv")


# --- other places


@pytest.mark.parametrize(("image", "mask"), [(COMPOSED, APART), (APART, COMPOSED)])
def test_a_mask_is_found_under_the_form_of_its_name(tmp_path, place, image, mask):
    place(tmp_path, f"images/{image}/{image}.jpg", f"masks/{mask}/{mask}.png")
    found = {path: file.path for path, file in masks.list_masks(tmp_path).items()}
    assert found == {f"images/{image}/{image}.jpg": f"masks/{mask}/{mask}.png"}
    assert not list_images("masks", tmp_path).left_out
    (tmp_path / "i.csv").write_bytes(
        csv_bytes(["path", "mask"], [f"images/{mask}/{mask}.jpg", f" masks/{image}/{image}.png"])
    )
    assert {path: file.path for path, file in masks.list_masks(tmp_path / "i.csv").items()} == found


def test_images_and_masks_of_both_forms_are_paired_by_their_own(tmp_path, place):
    place(tmp_path, *(f"{folder}/{name}.png" for folder in ("images", "masks") for name in (COMPOSED, APART)))
    found = {path: file.path for path, file in masks.list_masks(tmp_path).items()}
    assert found == {f"images/{name}.png": f"masks/{name}.png" for name in (COMPOSED, APART)}


def test_folders_of_both_forms_are_one_class(tmp_path, place):
    place(tmp_path, f"train/{COMPOSED}/1.png", f"train /{APART}/2.png", "val/3/3.png", "val/3.0/4.png")
    found = {image.path: image[1:3] for image in list_images("folder", tmp_path).images}
    assert found == {
        f"train/{COMPOSED}/1.png": (COMPOSED, "train"),
        f"train /{APART}/2.png": (COMPOSED, "train"),
        "val/3/3.png": ("3", "val"),
        "val/3.0/4.png": ("3", "val"),
    }


VALUES = ["cat", "dog", COMPOSED, "3"]


def test_labels_in_arrays_are_clean(tmp_path):
    dirty = [b"cat\0\0", b"\xef\xbb\xbfdog  ", APART.encode(), b"3.0"]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros((4, 5, 5), np.uint8)
        file["fixed"] = np.array(dirty, "S12")
        file["free"] = [text.decode() for text in dirty[1:]] + ["cat "]
    np.save(tmp_path / "y.npy", np.array([text.decode() for text in dirty]))
    (tmp_path / "m.csv").write_bytes(csv_bytes(["\ufeffy "], *([text.decode()] for text in dirty), encoding="utf-16"))
    for place, expected in {
        "a.h5:fixed": VALUES,
        "a.h5:free": [*VALUES[1:], "cat"],
        "y.npy": VALUES,
        "m.csv:y": VALUES,
    }.items():
        fields = {"images": {"": "a.h5:x"}, "labels": {"": place}, "groups": {"": place}}
        images = list_images("hdf5", tmp_path, None, fields).images
        assert [image.label for image in images] == [image.group for image in images] == expected
