"""Which folders are splits is decided by those that hold images, and by no others."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.sources.kinds import masks
from unchoke.sources.locations import SPLIT_NAMES
from unchoke.sources.source import list_images, listing_digest
from unchoke.sources.split_folders import split_folders

SPLIT_TREE = [
    f"{split}/{label}/{n}.png" for split in ("train", "val", "test") for label in ("cat", "dog") for n in "12"
]
SYSTEM = ["__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information", "Thumbs", "__pycache__"]
HIDDEN = [".Spotlight-V100", ".ipynb_checkpoints", ".Trashes"]
EMPTY = ["annotations", "logs", "unlabeled"]


def facts(folder, kind="folder"):
    return {image.path: image[1:3] for image in list_images(kind, folder).images}


def right(names):
    return {name: (name.split("/")[1], name.split("/")[0]) for name in names}


@pytest.mark.parametrize("name", [*SYSTEM, *HIDDEN])
@pytest.mark.parametrize("place_of", ["{}/", "{}/train/cat/", "train/{}/", "train/cat/{}/", "val/dog/{}/deep/"])
def test_folders_of_the_system_never_count(tmp_path, place, name, place_of):
    place(tmp_path, *SPLIT_TREE)
    before = listing_digest("folder", tmp_path)
    place(tmp_path, f"{place_of.format(name)}1.png")
    listing = list_images("folder", tmp_path)
    assert {image.path: image[1:3] for image in listing.images} == right(SPLIT_TREE)
    assert listing.left_out == ({} if name.startswith(".") else {f"folder of the system: {name}": 1})
    assert listing_digest("folder", tmp_path) == before


@pytest.mark.parametrize("name", SYSTEM)
def test_folders_of_the_system_are_no_classes_either(tmp_path, place, name):
    place(tmp_path, "cat/1.png", "dog/2.png", f"{name}/3.png", f"cat/{name}/1.png")
    assert facts(tmp_path) == {"cat/1.png": ("cat", ""), "dog/2.png": ("dog", "")}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("inside", [None, "notes.xml", "._1.png", "cat/._1.png"])
def test_folders_without_visible_images_beside_splits_decide_nothing(tmp_path, place, name, inside):
    place(tmp_path, *SPLIT_TREE)
    (tmp_path / name / "train").mkdir(parents=True)
    if inside:
        place(tmp_path / name, inside)
    assert facts(tmp_path) == right(SPLIT_TREE)
    assert list_images("folder", tmp_path).left_out["folder without images beside the splits"] == 1


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid"), ("train",), ("val", "test")])
@pytest.mark.parametrize("stray", ["others/1.png", "extra/cat/1.png"])
def test_a_folder_with_images_beside_splits_stops_the_run(tmp_path, place, names, stray):
    place(tmp_path, *(f"{name}/cat/1.png" for name in names), *(f"{name}/dog/1.png" for name in names), stray)
    with pytest.raises(UnchokeError) as caught:
        list_images("folder", tmp_path)
    message = str(caught.value)
    folders = {1: "train/ is", 2: "{}/ and {}/ are", 3: "{}/, {}/ and {}/ are"}[len(names)].format(*names)
    assert message.startswith(f"{folders} here, and '{stray.split('/')[0]}' is no split.\n")
    assert str(tmp_path) in message and "1 files" in message and "do:" in message


@pytest.mark.parametrize(
    "names",
    [
        ["train/1.png", "bus/2.png", "car/3.png"],
        ["test/1.png", "val/2.png"],
        ["valid/a/1.png", "invalid/a/2.png"],
        ["test/a/1.png", "control/a/2.png"],
    ],
)
def test_classes_may_be_called_like_splits(tmp_path, place, names):
    assert facts(place(tmp_path, *names)) == {name: (name.split("/")[0], "") for name in names}


def test_a_train_and_a_bus_with_folders_inside_stop_with_a_way_out(tmp_path, place):
    place(tmp_path, "train/red/1.png", "bus/red/2.png", "car/red/3.png")
    with pytest.raises(UnchokeError, match=r"(?s)'bus' is no split.*where train/ are no splits, rename them"):
        list_images("folder", tmp_path)


@pytest.mark.parametrize("name", ["unlabelled", "Unlabeled"])
@pytest.mark.parametrize("inside", ["1.png", "cat/1.png", "train/cat/1.png"])
def test_images_in_a_folder_unlabelled_have_no_label(tmp_path, place, name, inside):
    waiting = {f"{name}/{inside}": ("", "")}
    assert facts(place(tmp_path / "alone", f"{name}/{inside}")) == waiting
    assert facts(place(tmp_path / "classes", "cat/1.png", f"{name}/{inside}")) == {"cat/1.png": ("cat", ""), **waiting}
    tree = [*SPLIT_TREE, f"{name}/{inside}", f"val/{name}/{inside}"]
    given = {**right(SPLIT_TREE), **waiting, f"val/{name}/{inside}": ("", "val")}
    assert facts(place(tmp_path / "splits", *tree)) == given
    assert facts(place(tmp_path / "deep", "cat/1.png", f"dog/{name}/1.png"))[f"dog/{name}/1.png"] == ("dog", "")


def test_a_folder_unlabelled_makes_no_classes_of_splits(tmp_path, place):
    place(tmp_path, "train/1.png", "test/2.png", "unlabelled/cat/1.png")
    with pytest.raises(UnchokeError, match=r"(?s)no folders of classes.*directly in test/, train/"):
        list_images("folder", tmp_path)


def test_val_and_test_without_train_stop_the_run(tmp_path, place):
    place(tmp_path, "val/cat/1.png", "test/dog/2.png", "trian/notes.txt")
    with pytest.raises(UnchokeError, match="val/ and test/ are here, and no folder named train"):
        list_images("folder", tmp_path)


def test_splits_without_folders_of_classes_are_named(tmp_path, place):
    place(tmp_path, "train/1.png", "test/2.png")
    with pytest.raises(UnchokeError, match=r"(?s)no folders of classes.*directly in test/, train/"):
        list_images("folder", tmp_path)


def test_both_names_of_a_split_are_one(tmp_path, place):
    place(tmp_path, "train/cat/1.png", "val/cat/2.png", "validation/cat/3.png")
    assert [image.split for image in list_images("folder", tmp_path).images] == ["train", "val", "val"]


# --- masks


@pytest.mark.parametrize("name", [*SYSTEM, *EMPTY])
@pytest.mark.parametrize("below", ["images", "masks", "images/train", "masks/train"])
def test_splits_of_masks_stay_given(tmp_path, place, name, below):
    tree = [f"{folder}/{split}/1.png" for folder in ("images", "masks") for split in ("train", "val")]
    place(tmp_path, *tree, f"{below}/{name}/{'._1.png' if name in EMPTY else '1.png'}")
    assert facts(tmp_path, "masks") == {f"images/{split}/1.png": ("mask", split) for split in ("train", "val")}
    assert len(masks.list_masks(tmp_path)) == 2


def test_a_stray_folder_of_images_with_masks_stops_the_run(tmp_path, place):
    place(tmp_path, "images/train/1.png", "images/val/2.png", "images/extra/3.png", "masks/train/1.png")
    with pytest.raises(UnchokeError, match="train/ and val/ are here, and 'extra' is no split"):
        list_images("masks", tmp_path)


@pytest.mark.parametrize("kind", ["folder", "masks"])
def test_one_folder_that_is_named_as_a_split_is_none_beside_others(tmp_path, place, kind):
    prefix = "images/" if kind == "masks" else ""
    place(tmp_path, "images/test/1.png", "images/slide_1/1.png", "masks/test/1.png")
    found = list_images(kind, tmp_path if prefix else tmp_path / "images").images
    assert {image.split for image in found} == {""}


# --- the decision itself

FOLDERS = st.dictionaries(st.sampled_from([*SPLIT_NAMES, "TRAIN", "cat", "bus", "unlabeled"]), st.integers(1, 9))


@given(FOLDERS, st.data())
def test_folders_are_splits_all_or_none(counts, data):
    classed = data.draw(st.none() | st.sets(st.sampled_from(sorted(counts) or ["cat"])))
    try:
        splits = split_folders(counts, classed, "here")
    except UnchokeError as error:
        assert {SPLIT_NAMES.get(name.lower()) for name in counts} - {None}
        assert "here" in str(error)
    else:
        assert splits == {} or splits == {name: SPLIT_NAMES[name.lower()] for name in counts}
        assert splits == {} or "train" in splits.values()


@given(st.sets(st.sampled_from(SPLIT_TREE), min_size=1), st.sampled_from([*SYSTEM, *EMPTY]))
def test_a_folder_without_images_changes_no_listing(tmp_path_factory, names, name):
    root: Path = tmp_path_factory.mktemp("tree")
    for file in names:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()

    def listed():
        try:
            return list_images("folder", root).images
        except UnchokeError as error:
            return str(error)

    before = listed()
    (root / name / "train" / "cat").mkdir(parents=True)
    assert listed() == before
