"""Which source lies at a path, and what is said where there is none."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from PIL import Image

from unchoke.cli.look import anything
from unchoke.cli.look.anything import look_at
from unchoke.cli.look.masks import classes_of
from unchoke.errors import UnchokeError
from unchoke.sources.kinds import folder

Place = Callable[..., Path]
X, Y = np.zeros((6, 9, 8, 3), np.uint8), np.arange(6) % 2


def test_folders_by_class_shards_and_stores_are_told_apart(tmp_path: Path, place: Place) -> None:
    place(tmp_path / "photos", "a/1.jpg", "b/2.PNG", "list.csv", "b/3.heic")
    assert look_at(tmp_path / "photos").dataset == {"kind": "folder", "path": str(tmp_path / "photos")}
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards/train-0.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("1.jpg"), io.BytesIO())
    for path in (tmp_path / "shards", tmp_path / "shards/train-0.tar"):
        assert look_at(path).dataset == {"kind": "webdataset", "path": str(tmp_path / "shards")}
    store = zarr.open_group(tmp_path / "few.zarr", mode="w")
    store["x"], store["labels"] = X, Y
    expected = {"kind": "zarr", "path": str(tmp_path), "images": "few.zarr:x", "labels": "few.zarr:labels"}
    assert look_at(tmp_path / "few.zarr").dataset == expected


def test_relative_paths_stay_relative(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path / "my photos", "a/1.jpg", "b/2.png")
    monkeypatch.chdir(tmp_path)
    assert look_at(Path("my photos/")).dataset["path"] == "my photos"


@pytest.mark.parametrize(
    ("files", "given", "said"),
    [
        (["1.heic", "2.HEIC", "a/3.heic"], "", "3 × .heic"),
        (["1.heic"], "", "save them as JPEG"),
        (["a.cr2"], "", "develop them"),
        (["a.zip"], "", "unpack it"),
        ([], "", "an empty folder"),
        (["1.jpg", "2.jpg"], "", "2 images directly in the folder"),
        (["1.jpg"], "1.jpg", "a folder for each class"),
        (["x.npz"], "x.npz", "unpack it"),
        (["notes.txt"], "notes.txt", "a table must be a CSV"),
        (["photos/a/1.jpg"], "fotos", "'photos' beside it"),
        (["train/a/1.jpg", "val/a/1.jpg", "other/1.jpg"], "", "other"),
    ],
)
def test_what_cannot_be_read_is_named_with_a_way_out(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, files: list[str], given: str, said: str
) -> None:
    for module in (anything, folder):  # as without the extra heif
        monkeypatch.setattr(module, "IMAGE_ENDINGS", folder.PLAIN_ENDINGS)
    place(tmp_path, *files)
    with pytest.raises(UnchokeError) as error:
        look_at(tmp_path / given)
    assert said in str(error.value) and "where:" in str(error.value)


def test_an_hdf5_file_gives_images_labels_and_groups(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["deep/images"], file["deep/target"], file["deep/patient_id"] = X, Y, Y
        file["embedding"], file["size"] = np.zeros((6, 4)), Y
    dataset = look_at(tmp_path / "d.h5").dataset
    assert dataset["images"] == "d.h5:deep/images"
    assert (dataset["labels"], dataset["groups"]) == ("d.h5:deep/target", "d.h5:deep/patient_id")


def test_arrays_of_several_splits_are_paired(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        np.save(tmp_path / f"x_{split}.npy", X)
        np.save(tmp_path / f"y_{split}.npy", Y.reshape(-1, 1, 1, 1).astype(np.uint8))
    expected = {"train": "x_train.npy", "val": "x_valid.npy"}, {"train": "y_train.npy", "val": "y_valid.npy"}
    dataset = look_at(tmp_path).dataset
    assert (dataset["images"], dataset["labels"]) == expected


def test_labels_lie_beside_an_array_too(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "meta.csv").write_text("nr,class\n" + "".join(f"{row},{row % 2}\n" for row in range(6)))
    assert look_at(tmp_path / "x.npy").dataset["labels"] == "meta.csv:class"
    np.save(tmp_path / "y.npy", Y[:5])  # of other images
    assert look_at(tmp_path / "x.npy").dataset["labels"] == "meta.csv:class"


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X / 255, "y": Y}, "type float64"),
        ({"x": np.moveaxis(X, -1, 1), "y": Y}, "channels"),
        ({"x": X, "number": Y}, "x uint8 (6, 9, 8, 3); besides d.h5:number"),
        ({"a": X, "b": X, "y": Y}, "several arrays of images"),
        ({"y": Y}, "No array holds images"),
    ],
)
def test_arrays_that_are_no_dataset_are_listed(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    with pytest.raises(UnchokeError) as error:
        look_at(tmp_path / "d.h5")
    assert said in str(error.value) and "do:" in str(error.value)


def write_table(folder: Path, header: str) -> Path:
    rows = "".join(f"{number},a/{number}.jpg,{number % 2},{number // 3}\n" for number in range(6))
    (folder / "list.csv").write_text(f"{header}\n{rows}")
    return folder / "list.csv"


def test_a_table_keeps_patients_together(tmp_path: Path) -> None:
    table = write_table(tmp_path, "nr,path,label,Patient ID")
    dataset = look_at(table).dataset
    assert dataset == {"kind": "csv", "path": str(table), "split": {"group": "Patient ID"}}
    assert look_at(tmp_path).dataset == dataset


@pytest.mark.parametrize(
    ("header", "do"),
    [
        ("nr,File_Name,Class,who", "rename the columns 'File_Name' to 'path' and 'Class' to 'label', in"),
        ("nr,z,label,who", "rename the columns 'z' to 'path', in"),  # by what stands in it
        ("nr,path,kind,who", "add a column 'label', in"),
        ("nr,path,segmentation,who", "rename the columns 'segmentation' to 'mask', in"),
    ],
)
def test_other_columns_are_proposed_by_what_stands_in_them(tmp_path: Path, header: str, do: str) -> None:
    with pytest.raises(UnchokeError) as error:
        look_at(write_table(tmp_path, header))
    assert f"do:       {do} its first line" in str(error.value)


def write_masks(folder: Path, *values: int, mode: str = "L") -> None:
    for name, pictures in {"images": [0, 9], "masks": values}.items():
        (folder / name).mkdir()
        pixels = np.array(pictures, np.uint8).reshape(1, -1)
        Image.fromarray(np.tile(pixels, (4, 4))).save(folder / name / "1.png")


def test_masks_say_their_classes(tmp_path: Path) -> None:
    write_masks(tmp_path, 0, 255)
    expected = {"kind": "masks", "path": str(tmp_path), "classes": {"background": 0, "foreground": 255}}
    assert look_at(tmp_path).dataset == expected


@pytest.mark.parametrize(("values", "said"), [((7,), "too few classes"), (range(200), "JPEG")])
def test_masks_of_one_class_or_of_photographs_are_refused(tmp_path: Path, values: list[int], said: str) -> None:
    write_masks(tmp_path, *values)
    with pytest.raises(UnchokeError, match=said):
        look_at(tmp_path)


@pytest.mark.parametrize(
    ("values", "classes", "ignored"),
    [
        ([1, 0], {"background": 0, "foreground": 1}, None),
        ([3, 4], {"class_3": 3, "class_4": 4}, None),
        ([0, 1, 255], {"background": 0, "foreground": 1}, 255),
        ([0, 128, 255], {"background": 0, "class_128": 128, "class_255": 255}, None),
        ([0, 1, 2, 3, 255], {"background": 0, "class_1": 1, "class_2": 2, "class_3": 3}, 255),
        ([0, 0xFF0000], {"background": "#000000", "colour_ff0000": "#ff0000"}, None),
    ],
)
def test_numbers_become_classes(values: list[int], classes: dict[str, object], ignored: int | None) -> None:
    assert classes_of(values) == (classes, ignored)
