"""Images with words are told from those with masks and classes, by their annotations."""

import json
from pathlib import Path

import pytest

from unchoke.cli.look.anything import look_at
from unchoke.errors import UnchokeError

QUAD = "10,10,90,10,90,40,10,40"
INSTANCE = {"polygon": [10, 10, 90, 10, 90, 40, 10, 40]}


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def mmocr(*instances: dict[str, object]) -> str:
    return json.dumps({"data_list": [{"img_path": "1.jpg", "instances": list(instances)}]})


def test_a_folder_with_text_files_has_words(tmp_path, place):
    place(tmp_path, "images/1.jpg", "images/2.jpg", "images/3.jpg")
    write(tmp_path / "gt/gt_1.txt", f"{QUAD},one\n{QUAD},###\n")
    write(tmp_path / "gt/gt_2.txt", "")
    write(tmp_path / "gt/gt_3.txt", f"{QUAD},two\n1,2,3,4,5,6,7\n")
    found = look_at(tmp_path)
    assert found.dataset == {"kind": "text", "path": str(tmp_path)}
    [counts, fault] = found.notes
    assert counts == "2 words to find, 1 ignored; 1 images without words."
    assert fault.startswith("! 1 words that cannot be used, one of them for: 7 numbers")


def test_a_folder_gt_with_pictures_has_none(tmp_path, place):
    place(tmp_path, "images/1.jpg", "gt/1.png")
    assert look_at(tmp_path).dataset["kind"] == "folder"


@pytest.mark.parametrize("given", ["list.json", ""])
def test_a_json_of_mmocr_is_taken_alone_and_beside_its_images(tmp_path, place, given):
    place(tmp_path, "1.jpg")
    write(tmp_path / "list.json", mmocr(INSTANCE, {**INSTANCE, "ignore": True}))
    write(tmp_path / "notes.json", "{}")
    found = look_at(tmp_path / given)
    assert found.dataset == {"kind": "text", "path": str(tmp_path / "list.json")}
    assert found.notes == ["1 words to find, 1 ignored; 0 images without words."]


def test_a_csv_with_polygons_has_words(tmp_path, place):
    place(tmp_path, "1.jpg")
    path = write(tmp_path / "words.csv", "path,polygon,label\n1.jpg,10 10 90 10 90 40 10 40,a\n1.jpg,,\n")
    assert look_at(path).dataset == {"kind": "text", "path": str(path)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (mmocr({**INSTANCE, "ignore": True}), "1 words in the annotations of 1 images, of which 1 are ignored"),
        (mmocr({"polygon": [1, 2, 3]}, {"polygon": "x"}), "and 2 cannot be used"),
        ('{"images": [], "annotations": []}', "no list 'data_list'"),
        ('{"data_list": [', "where:"),
    ],
)
def test_a_json_without_words_is_refused(tmp_path, content, said):
    with pytest.raises(UnchokeError) as error:
        look_at(write(tmp_path / "list.json", content))
    assert said in str(error.value) and str(tmp_path) in str(error.value)
