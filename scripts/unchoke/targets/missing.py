"""Missing files that no rule declares, found by their names alone; the Snakefile asks at every start.

Some files are written beside the declared outputs: validity and record of a chunk, metadata of arrays, files of a
receipt. Snakemake itself does not notice when one of these is missing. The answers are declared files of the jobs that
make the missing ones again, as the rules name them.

results: the folder of the dataset. chunks: of the manifest.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.targets.heads import Place
from unchoke.targets.masks import Masks, band_files, batch_files, mask_receipt, prediction_files
from unchoke.targets.stores import RESULTS, Store

_FEW = 8  # files that are looked at one by one


def refuse_missing(path: Path, key: str) -> None:
    """UnchokeError where a file of the user's that the config names is not there. key: of the config."""
    if not path.is_file():
        raise UnchokeError(
            f"The file that {key} names is not there.",
            expected="a CSV with the columns path and decision; see docs/cleaning.md",
            where=str(path.absolute()),
            do=f"write it, correct the path, or set {key}: null",
        )


def incomplete_chunks(stores: Mapping[str, Store], results: Path, chunks: int) -> Iterator[str]:
    """Files of chunks beside which validity or record is missing, and metadata beside which that of an array is.

    stores: by their path below `results`.
    """
    for name, store in stores.items():
        folder = results / f"{name}.zarr"
        incomplete = with_gaps(store.numbers(chunks), folder / "valid/c", folder.with_suffix(".chunks"))
        yield from store.array_files(incomplete)[: len(incomplete)]  # one array names the job
        if not has_metadata(folder):
            yield store.metadata


def incomplete_masks(masks: Masks, places: Iterable[Place], results: Path, chunks: int) -> Iterator[str]:
    """Files of predictions and bands beside which the record is missing, or a band's probabilities.

    Of bands that have jobs of their own: ``incomplete_batches`` looks at the others.
    """
    for encoder, head in places:
        records = results / "predictions" / encoder / f"{head}.chunks"
        yield from prediction_files(encoder, head, with_gaps(range(chunks), records))
        for image in masks.apart:
            yield from band_files(encoder, head, image, _incomplete_bands(masks, (encoder, head), image, results))


def incomplete_batches(masks: Masks, place: Place, results: Path) -> list[str]:
    """What the jobs of batches write last, of those in which a mask is not whole."""
    gaps = [
        number
        for number, images in enumerate(masks.batches)
        if not all(_is_whole_mask(masks, place, image, results) for image in images)
    ]
    return batch_files(*place, gaps)


def _is_whole_mask(masks: Masks, place: Place, image: str, results: Path) -> bool:
    made = [path.removeprefix(f"{RESULTS}/") for path in band_files(*place, image, masks.bands(image))]
    made.append(mask_receipt(*place, image).removeprefix(f"{RESULTS}/"))
    bands_there = all((results / path).exists() for path in made[:-1])
    return bands_there and not _incomplete_bands(masks, place, image, results) and is_whole(results / made[-1])


def _incomplete_bands(masks: Masks, place: Place, image: str, results: Path) -> list[int]:
    """Bands of an image without a record, or without the probabilities that are to be kept."""
    stem = results.joinpath("stitched", *place, image)
    folders = [stem.with_suffix(".bands")]
    if masks.config["segment"]["probabilities"]:
        folders.append(stem.with_suffix(".zarr") / "probability/c/0")
    return with_gaps(masks.bands(image), *folders)


def incomplete_receipts(receipts: Iterable[str], results: Path) -> list[str]:
    """The `receipts` that are missing, or that list a missing file."""
    return [receipt for receipt in receipts if not is_whole(results / receipt.removeprefix(f"{RESULTS}/"))]


def with_gaps(numbers: Iterable[int], *folders: Path) -> list[int]:
    """The `numbers` without a file of that name, with or without an ending, in at least one of the folders."""
    there = [{name.partition(".")[0] for name in _names(folder)} for folder in folders]
    return [number for number in numbers if not all(str(number) in names for names in there)]


def has_metadata(store: Path) -> bool:
    """Whether every array of a store has its metadata."""
    return all((store / array / "zarr.json").exists() for array in _names(store) if array != "zarr.json")


def is_whole(receipt: Path) -> bool:
    """Whether every file of a receipt is there; see ``receipts``. An unreadable receipt counts as not whole."""
    try:
        names: dict[str, list[str]] = {}
        for file in json.loads(receipt.read_bytes())["files"]:
            folder, _, name = file.rpartition("/")
            names.setdefault(folder, []).append(name)
        return all(_are_there(receipt.parent / folder, files) for folder, files in names.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _are_there(folder: Path, names: list[str]) -> bool:
    """Whether a folder has these files: it is listed where they are many, since it may hold those of many receipts."""
    if len(names) <= _FEW:
        return all((folder / name).exists() for name in names)
    return set(_names(folder)).issuperset(names)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
