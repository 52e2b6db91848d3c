"""One job for many masks gives the bytes of a job for each and keeps masks that are there; also after it was killed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unchoke.images.grid import Grid
from unchoke.machine.receipts import read_receipt
from unchoke.stitching import batch as batches
from unchoke.stitching.batch import MaskPlaces, stitch_masks
from unchoke.stitching.stitch import PROBABILITY, PatchReader, Stitching, finish_mask, stitch_band
from unchoke.store import chunks

K, SIZE, OVERLAP, PER_CHUNK = 3, 16, 4, 4
SIDES = {"3": (26, 40), "5": (16, 16), "8": (50, 20)}  # 6, 1 and 8 patches in 4 chunks
FIRST = {"3": 0, "5": 6, "8": 7}
Images = dict[str, tuple[Stitching, bool]]


def write_patches(folder: Path, seed: int) -> None:
    """Random probabilities and labels of all patches; the second patch was not read."""
    rng = np.random.default_rng(seed)
    for number in range(4):
        probability_NKSS = rng.dirichlet(np.ones(K), (PER_CHUNK, SIZE, SIZE)).transpose(0, 3, 1, 2).astype(np.float16)
        if number == 0:
            probability_NKSS[1] = np.nan
        label_NSS = rng.integers(0, K, (PER_CHUNK, SIZE, SIZE)).astype(np.uint8)
        chunks.write_chunk(folder / "predictions.zarr", number, {PROBABILITY: probability_NKSS}, {})
        valid_N = np.ones(PER_CHUNK, bool)
        chunks.write_chunk(folder / "labels.zarr", number, {"mask": label_NSS, "valid": valid_N}, {})


def images_of(blend: str = "gaussian", probabilities: bool = True) -> Images:
    return {
        image: (Stitching(Grid(*sides, SIZE, OVERLAP), FIRST[image], PER_CHUNK, K, blend, probabilities), False)
        for image, sides in SIDES.items()
    }


def places_of(folder: Path) -> MaskPlaces:
    names = ("predictions.zarr", "labels.zarr", "stitched", "receipts/finish_mask")
    return MaskPlaces(*(folder / name for name in names))


def stitch(folder: Path, images: Images) -> list[str]:
    return stitch_masks(places_of(folder), images, folder / "stitched/batches/0.json")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def times_of(folder: Path, image: str) -> dict[str, int]:
    """When every file of a mask was written."""
    files = [
        file for file in folder.rglob("*") if file.is_file() and image in str(file.relative_to(folder)).split(".")[0]
    ]
    return {str(file): file.stat().st_mtime_ns for file in files}


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    write_patches(tmp_path, 0)
    return tmp_path


@pytest.mark.parametrize("probabilities", [True, False])
@pytest.mark.parametrize("blend", ["crop", "gaussian"])
def test_masks_made_together_have_the_bytes_of_masks_made_apart(patches: Path, blend: str, probabilities: bool) -> None:
    images = images_of(blend, probabilities)
    assert stitch(patches, images) == list(SIDES)
    together = bytes_of(patches / "stitched")
    del together["batches/0.json"]
    apart = patches / "apart"
    for image, (settings, exact) in images.items():
        store = apart / f"{image}.zarr"
        for band in reversed(range(settings.grid.band_count)):
            stitch_band(PatchReader(patches / "predictions.zarr", patches / "labels.zarr"), store, band, settings)
        finish_mask(store, apart / f"{image}.png", apart / f"{image}.json", settings, exact)
    assert together == bytes_of(apart)


def test_a_receipt_lists_a_mask_as_the_receipt_of_a_job_of_its_own_does(patches: Path) -> None:
    stitch(patches, images_of())
    stem = patches / "stitched"
    names = ("5.zarr/zarr.json", "5.zarr/mask/zarr.json", "5.zarr/probability/zarr.json", "5.png", "5.json")
    assert set(read_receipt(patches / "receipts/finish_mask/5.json")) == {stem / name for name in names}


@pytest.mark.parametrize(
    "file",
    [
        "stitched/5.png",
        "stitched/5.json",
        "stitched/5.zarr/zarr.json",
        "stitched/5.zarr/mask/zarr.json",
        "stitched/5.zarr/mask/c/0/0",
        "stitched/5.zarr/probability/c/0/0/0",
        "stitched/5.bands/0.json",
        "receipts/finish_mask/5.json",
    ],
)
@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-2] + b"xx")])
def test_a_mask_of_which_a_file_is_missing_or_damaged_is_made_alone(
    patches: Path, file: str, spoil: Callable[[Path], object]
) -> None:
    stitch(patches, images_of())
    before, others = bytes_of(patches), [times_of(patches, image) for image in ("3", "8")]
    spoil(patches / file)
    assert stitch(patches, images_of()) == ["5"]
    assert bytes_of(patches) == before
    assert [times_of(patches, image) for image in ("3", "8")] == others


def test_masks_that_are_there_are_kept_until_what_they_are_made_of_changes(
    patches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stitch(patches, images_of())
    listed = (patches / "stitched/batches/0.json").read_bytes()
    assert stitch(patches, images_of()) == []
    assert (patches / "stitched/batches/0.json").read_bytes() == listed
    assert stitch(patches, images_of("crop")) == list(SIDES)
    assert (patches / "stitched/batches/0.json").read_bytes() != listed  # Snakemake goes by its bytes
    one = images_of("crop")
    one["8"] = replace(one["8"][0], n_classes=K), True
    assert stitch(patches, one) == ["8"]
    label_NSS = chunks.read_chunk(patches / "labels.zarr", 2)["mask"]
    valid_N = np.ones(PER_CHUNK, bool)
    chunks.write_chunk(patches / "labels.zarr", 2, {"mask": label_NSS[::-1].copy(), "valid": valid_N}, {})
    assert stitch(patches, one) == ["8"]  # the only one with patches in that chunk
    write_patches(patches, 1)
    assert stitch(patches, one) == list(SIDES)
    monkeypatch.setattr(batches.versions, "STITCH", 0)
    assert stitch(patches, one) == list(SIDES)


@pytest.mark.parametrize("killed_at", range(0, 30, 3))
def test_a_job_that_was_killed_goes_on_with_what_it_had_not_finished(
    patches: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    write, written = batches.stitch_band.__globals__["write_atomic"], 0

    def write_until(path: Path, data: bytes, *, sync: bool = True) -> None:
        nonlocal written
        if written == killed_at:
            raise KeyboardInterrupt
        written += 1
        write(path, data, sync=sync)

    with monkeypatch.context() as patched:
        for module in ("unchoke.stitching.stitch", "unchoke.store.zarr_bytes", "unchoke.machine.receipts"):
            patched.setattr(f"{module}.write_atomic", write_until)
        with pytest.raises(KeyboardInterrupt):
            stitch(patches, images_of())
    assert not (patches / "stitched/batches").exists()
    finished = [image for image in SIDES if places_of(patches).receipt(image).exists()]
    assert stitch(patches, images_of()) == [image for image in SIDES if image not in finished]
    after = bytes_of(patches / "stitched")
    for image in SIDES:
        places_of(patches).receipt(image).unlink()
    assert stitch(patches, images_of()) == list(SIDES)
    assert bytes_of(patches / "stitched") == after
