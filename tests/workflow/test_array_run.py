"""The same images as PNG files, in HDF5 files, Zarr arrays and tar shards: one workflow, the same pixels."""

import csv
import io
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from conftest import Clone, empty_clone, jobs, write_png
from sklearn.datasets import load_digits

CLASSES = 2
IN_SPLIT = {"train": 24, "valid": 12, "test": 12}
SPLITS = {"train": "train", "valid": "val", "test": "test"}
ENCODERS = {"tiny": {"model": "test_resnet", "weights": "untrained", "image_size": 32}}
HEADS = {"logistic": {"kind": "logistic", "c": [0.1]}}

pytestmark = pytest.mark.xdist_group("arrays")


def pixels_and_labels() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """uint8 (N, 8, 8, 3) and int (N,) of each split, from scikit-learn's digits 0 and 1."""
    digits = load_digits()
    places = np.flatnonzero(digits.target < CLASSES)
    grey_NHW = np.round(digits.images[places] * (255 / 16)).astype(np.uint8)
    ends = np.cumsum(list(IN_SPLIT.values()))
    parts = np.split(np.arange(ends[-1]), ends[:-1])
    rgb_NHW3 = np.repeat(grey_NHW[..., None], 3, axis=3)
    return {split: (rgb_NHW3[part], digits.target[places][part]) for split, part in zip(IN_SPLIT, parts, strict=True)}


def write_pcam(folder: Path) -> None:
    """The layout of PatchCamelyon, compressed and in pieces as some copies are."""
    folder.mkdir(parents=True)
    for split, (x_NHW3, y_N) in pixels_and_labels().items():
        stem = folder / f"camelyonpatch_level_2_split_{split}"
        with h5py.File(f"{stem}_x.h5", "w") as file:
            file.create_dataset("x", data=x_NHW3, chunks=(5, 8, 8, 3), compression="gzip")
        with h5py.File(f"{stem}_y.h5", "w") as file:
            file.create_dataset("y", data=y_N.reshape(-1, 1, 1, 1).astype(np.uint8))
        with Path(f"{stem}_meta.csv").open("w", newline="") as table:
            csv.writer(table).writerows(
                [["coord_x", "wsi"], *([row, f"{split}_slide_{row % 3}"] for row in range(len(y_N)))]
            )


def write_zarr(folder: Path) -> None:
    folder.mkdir(parents=True)
    for split, (x_NHW3, y_N) in pixels_and_labels().items():
        store = zarr.open_group(folder / f"{split}.zarr", mode="w")
        store.create_array("x", data=x_NHW3, chunks=(7, 8, 8, 3))
        store.create_array("y", data=y_N)


def write_files(folder: Path) -> None:
    for split, (x_NHW3, y_N) in pixels_and_labels().items():
        for row, (x_HW3, y) in enumerate(zip(x_NHW3, y_N, strict=True)):
            write_png(folder / split / str(y) / f"{row:03d}.png", x_HW3)


def write_shards(folder: Path) -> None:
    """Two shards a split, as WebDataset has them."""
    folder.mkdir(parents=True)
    for split, (x_NHW3, y_N) in pixels_and_labels().items():
        for shard, rows in enumerate(np.array_split(np.arange(len(y_N)), 2)):
            with tarfile.open(folder / f"{split}-{shard:06d}.tar", "w") as tar:
                for row in rows:
                    write_png(folder / "one.png", x_NHW3[row])
                    for ending, data in (("png", (folder / "one.png").read_bytes()), ("cls", str(y_N[row]).encode())):
                        member = tarfile.TarInfo(f"{row:03d}.{ending}")
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))
    (folder / "one.png").unlink()


def run(folder: Path, name: str, dataset: dict[str, object], *targets: str) -> tuple[Clone, str]:
    clone = empty_clone(
        Clone(folder / name, name, {}),
        dataset={"name": name, "path": "data", **dataset},
        chunk_size=10,
        encoders=ENCODERS,
        heads=HEADS,
    )
    WRITERS[name](clone.folder / "data")
    return clone, clone.snakemake(*targets, "--cores", "2")


def locations(images: str, labels: str) -> dict[str, dict[str, str]]:
    return {
        "images": {split: images.format(split) for split in IN_SPLIT},
        "labels": {split: labels.format(split) for split in IN_SPLIT},
    }


WRITERS = {
    "pcam": write_pcam,
    "zarr": write_zarr,
    "webdataset": write_shards,
    "folder": write_files,
}
DATASETS: dict[str, dict[str, object]] = {
    "zarr": {"kind": "zarr", **locations("{}.zarr:x", "{}.zarr:y")},
    "webdataset": {"kind": "webdataset"},
    "folder": {"kind": "folder"},
}


@pytest.fixture(scope="module")
def pcam(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    return run(tmp_path_factory.mktemp("pcam"), "pcam", {"kind": "hdf5", "preset": "pcam"})


def hashes_by_split(clone: Clone) -> dict[str, list[list[int]]]:
    """The hashes of the images of each split, in order, whatever their places in the manifest."""
    hashes = zarr.open_group(clone.results / "fingerprints.zarr", mode="r")["hashes"][:]  # type: ignore[index]
    with (clone.results / "manifest.csv").open(newline="") as file:
        splits = np.array([row["split"] for row in csv.DictReader(file)])
    return {split: sorted(hashes[splits == split].tolist()) for split in SPLITS.values()}


def test_the_files_of_pcam_run_as_they_are(pcam: tuple[Clone, str]) -> None:
    clone, output = pcam
    with (clone.results / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows[:2]] == [f"camelyonpatch_level_2_split_train_x.h5:x[{row}]" for row in (0, 1)]
    assert {split: sum(row["split"] == split for row in rows) for split in SPLITS.values()} == {
        SPLITS[name]: count for name, count in IN_SPLIT.items()
    }
    expected = np.concatenate([y_N for _, y_N in pixels_and_labels().values()])
    assert [row["label"] for row in rows] == [str(label) for label in expected]
    assert rows[4]["group"] == "train_slide_1"
    assert jobs(output, "train_head") == 1


def test_nothing_is_done_twice(pcam: tuple[Clone, str]) -> None:
    assert "Nothing to be done" in pcam[0].snakemake("--cores", "2")


def test_features_are_those_of_the_same_images_in_files(pcam: tuple[Clone, str], tmp_path: Path) -> None:
    clone, _ = run(tmp_path, "folder", DATASETS["folder"], "results/folder/features/tiny.zarr/zarr.json")
    assert sorted(features_of(clone)) == sorted(features_of(pcam[0]))


def features_of(clone: Clone) -> list[bytes]:
    features = zarr.open_group(clone.results / "features/tiny.zarr", mode="r")["avg"][:]  # type: ignore[index]
    return [feature_D.tobytes() for feature_D in features]


@pytest.mark.parametrize("name", ["zarr", "webdataset"])
def test_every_source_gives_the_same_pixels(pcam: tuple[Clone, str], tmp_path: Path, name: str) -> None:
    clone, _ = run(tmp_path, name, DATASETS[name], f"results/{name}/fingerprints.zarr/zarr.json")
    assert hashes_by_split(clone) == hashes_by_split(pcam[0])


def test_a_file_cut_short_stops_the_run_before_any_image(tmp_path: Path, pcam: tuple[Clone, str]) -> None:
    clone = pcam[0].copy_to(tmp_path / "clone")
    path = clone.folder / "data/camelyonpatch_level_2_split_train_x.h5"
    path.write_bytes(path.read_bytes()[:-300])
    output = clone.snakemake("--cores", "2", ok=False)
    assert path.name in output
    assert "truncated" in output
    assert jobs(output, "extract_chunk") == 0
