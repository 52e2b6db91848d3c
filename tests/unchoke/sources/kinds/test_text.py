"""Sources of images with words pair each image with its own, from a folder, a JSON or a CSV."""

import json

import pytest

from unchoke.errors import UnchokeError
from unchoke.sources.kinds import text
from unchoke.sources.source import list_images, listing_digest

QUAD = "10,10,90,10,90,40,10,40"
CORNERS = ((10, 10), (90, 10), (90, 40), (10, 40))


def labels(path):
    return {image.path: image.label for image in list_images("text", path).images}


def texts(path):
    return {image: [word.text for word in found.words] for image, found in text.read_words(path).items()}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# --- folder


def test_words_belong_to_the_image_of_their_name_with_or_without_prefix(tmp_path, place):
    place(tmp_path, "images/a.jpg", "images/train/b.png", "images/none.png", "images/gt_c.png")
    write(tmp_path / "gt/a.txt", f"{QUAD},plain\n")
    write(tmp_path / "gt/train/gt_b.txt", f"{QUAD},prefixed\n")
    write(tmp_path / "gt/gt_c.txt", f"{QUAD},own\n")
    assert labels(tmp_path) == {
        "images/a.jpg": "text",
        "images/gt_c.png": "text",
        "images/none.png": "",
        "images/train/b.png": "text",
    }
    assert texts(tmp_path) == {
        "images/a.jpg": ["plain"],
        "images/gt_c.png": ["own"],
        "images/train/b.png": ["prefixed"],
    }


def test_an_empty_file_is_an_image_without_words(tmp_path, place):
    place(tmp_path, "images/a.jpg")
    write(tmp_path / "gt/gt_a.txt", "")
    assert labels(tmp_path) == {"images/a.jpg": "text"} and texts(tmp_path) == {"images/a.jpg": []}


def test_words_without_an_image_are_left_out_and_counted(tmp_path, place):
    place(tmp_path, "images/a.jpg", "gt/a.txt", "gt/b.txt", "gt/notes.json")
    assert list_images("text", tmp_path).left_out == {text.ALONE: 1, ".json": 1}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("images/a.jpg", "gt/a.txt", "gt/gt_a.txt"), "two gt files for one image"),
        (("images/a.jpg", "images/a.png", "gt/a.txt"), "two images for one gt file"),
        (("images/a.jpg", "gts/a.txt"), "There is no folder gt/"),
    ],
)
def test_two_files_of_one_name_and_missing_folders_are_refused(tmp_path, place, names, said):
    place(tmp_path, *names)
    with pytest.raises(UnchokeError, match=said):
        list_images("text", tmp_path)


def test_a_file_that_is_no_text_is_named_and_the_others_are_read(tmp_path, place):
    place(tmp_path, "images/a.jpg", "images/b.jpg")
    write(tmp_path / "gt/b.txt", f"{QUAD},way")
    (tmp_path / "gt/a.txt").write_bytes(b"\xff\xfea")  # UTF-16, cut in the middle
    found = text.read_words(tmp_path)
    assert found["images/a.jpg"].fault and not found["images/b.jpg"].fault


def test_the_digest_follows_images_and_words(tmp_path, place):
    place(tmp_path, "images/a.jpg")
    write(tmp_path / "gt/a.txt", f"{QUAD},way")
    before = listing_digest("text", tmp_path)
    assert listing_digest("text", tmp_path) == before
    write(tmp_path / "gt/a.txt", f"{QUAD},highway")
    assert listing_digest("text", tmp_path) != before


# --- JSON


def json_of(path, *entries):
    return write(path, json.dumps({"data_list": list(entries)}))


def test_images_of_a_json_are_found_without_the_first_folders_of_their_paths(tmp_path, place):
    place(tmp_path, "a.jpg", "deep/b.jpg")
    entries = [
        {"img_path": name, "instances": [{"bbox": [1, 2, 3, 4]}]} for name in ("imgs/test/a.jpg", "x/deep/b.jpg")
    ]
    path = json_of(tmp_path / "data.json", *entries, {"img_path": "x/gone.jpg", "height": 9, "width": 8})
    assert labels(path) == dict.fromkeys(("a.jpg", "deep/b.jpg", "x/gone.jpg"), "text")
    assert [image.size_bytes >= 0 for image in list_images("text", path).images] == [True, True, False]
    found = text.read_words(path)
    assert found["a.jpg"].words[0].corners == ((1, 2), (3, 2), (3, 4), (1, 4))
    assert found["x/gone.jpg"] == ("data.json", [], 9, 8, "")


@pytest.mark.parametrize("content", ["{", "[]", '{"data_list": [{}]}', "[" * 100_000])
def test_another_json_is_refused(tmp_path, content):
    with pytest.raises(UnchokeError, match="The JSON with the words cannot be read"):
        list_images("text", write(tmp_path / "data.json", content))


def test_an_image_stands_in_a_json_once(tmp_path, place):
    place(tmp_path, "a.jpg")
    with pytest.raises(UnchokeError, match="twice"):
        list_images("text", json_of(tmp_path / "data.json", {"img_path": "a.jpg"}, {"img_path": "b/a.jpg"}))


# --- CSV


def test_a_csv_has_a_row_a_word(tmp_path, place):
    place(tmp_path, "a.jpg", "b.jpg")
    rows = [
        "path,polygon,text,ignore,split",
        "a.jpg,10 10 90 10 90 40 10 40,way,,train",
        'a.jpg,"10,10,90,10,90,40,10,40","a ""quoted"", word",1,train',
        "a.jpg,10 10 90 10 90 40 10 40,###,0,train",
        "a.jpg,10 10 x,,maybe,train",
        "a.jpg,10 10 90,,no,train",
        "a.jpg,10 10 90 10 90 40 10 40,,maybe,train",
        "b.jpg,,,,test",
    ]
    path = write(tmp_path / "words.csv", "\n".join(rows))
    assert [(image.path, image.label, image.split) for image in list_images("text", path).images] == [
        ("a.jpg", "text", "train"),
        ("b.jpg", "text", "test"),
    ]
    found = text.read_words(path)
    assert found["b.jpg"].words == []
    words = found["a.jpg"].words
    assert [word.corners == CORNERS for word in words] == [True, True, True, False, False, True]
    assert [word.ignored for word in words] == [False, True, True, False, False, False]
    assert [word.place for word in words] == [f"row {number}" for number in range(2, 8)]
    assert [word.fault for word in words] == [
        *("", "", ""),
        "'x' among the numbers",
        "3 numbers, an odd count",
        "ignore 'maybe', where 1 or 0 was expected",
    ]


def test_rows_of_one_image_agree_in_their_split(tmp_path, place):
    place(tmp_path, "a.jpg")
    path = write(tmp_path / "words.csv", "path,polygon,split\na.jpg,,train\na.jpg,,test\n")
    with pytest.raises(UnchokeError, match="differ in the column 'split'"):
        list_images("text", path)


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnchokeError, match="The images with words are missing"):
        list_images("text", tmp_path / "none")
