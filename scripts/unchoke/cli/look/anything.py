"""Which kind of source lies at a path."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from unchoke.cli.look.found import Found
from unchoke.cli.pictures import endings
from unchoke.errors import UnchokeError
from unchoke.images import heif
from unchoke.names import nearest
from unchoke.sources.kinds.folder import IMAGE_ENDINGS
from unchoke.sources.left_out import PACKED, what_to_do

ARRAYS = {".h5": "hdf5", ".hdf5": "hdf5", ".he5": "hdf5", ".hdf": "hdf5", ".npy": "npy", ".zarr": "zarr"}
"""Kinds of source by the endings of their files."""


def look_at(path: Path) -> Found:
    """The source at `path`; UnchokeError where there is none that a run can read."""
    if not path.exists():
        raise _missing(path)
    return _folder(path) if path.is_dir() else _file(path)


def _missing(path: Path) -> UnchokeError:
    names = os.listdir(path.parent) if path.parent.is_dir() else []
    near = nearest(path.name, names, count=1)
    return UnchokeError(
        "There is nothing to look at.",
        found=f"'{near[0]}' beside it" if near else "nothing like it",
        expected="a folder of images, a CSV, a JSON with words, arrays (HDF5, .npy, Zarr), or tar shards",
        where=str(path.absolute()),
        do=f"unchoke init '{path.parent / near[0]}'" if near else "correct the path",
    )


def _file(path: Path) -> Found:
    from unchoke.cli.look import arrays, tables, words

    ending = path.suffix.lower()
    if ending in ARRAYS:
        return arrays.look_at(path.parent, [path.name], ARRAYS[ending])
    if ending == ".csv":
        return tables.look_at(path)
    if ending == ".json":
        return words.look_at(path)
    if ending == ".tar":
        return _shards(path.parent, f"Every *.tar below {path.parent} is read, not {path.name} alone.")
    if path.name.lower().endswith((*IMAGE_ENDINGS, *heif.ENDINGS)):
        do = f"give the folder that has a folder for each class: unchoke init '{path.parent}'"
    elif ending in PACKED:
        do = "unpack it, and give what is in it"
    else:
        do = "give the folder or the file that names the images; a table must be a CSV"
    raise UnchokeError(
        "A run cannot begin with this file.",
        found=path.name,
        expected=f"a folder, .csv, .json, .tar, {', '.join(ARRAYS)}",
        where=str(path.absolute()),
        do=do,
    )


def _folder(path: Path) -> Found:
    """A store, images with masks or words, images by class, shards, arrays, or a table: the first that is there."""
    from unchoke.cli.look import arrays, masks, tables, words
    from unchoke.sources.kinds import folder

    if any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup")):
        return arrays.look_at(path.parent, [path.name], "zarr")
    if all((path / name).is_dir() for name in ("images", "masks")):
        return masks.look_at(path)
    if words.is_folder(path):
        return words.look_at(path)
    entries = sorted(name for name in os.listdir(path) if not name.startswith("."))
    csvs = [path / name for name in entries if name.lower().endswith(".csv")]
    jsons = [path / name for name in entries if name.lower().endswith(".json") and words.is_mmocr(path / name)]
    listing = folder.list_images(path)
    labels = {image.label for image in listing.images} - {""}
    if labels:
        return Found({"kind": "folder", "path": str(path)}, "a folder of images, with a folder for each class")
    if listing.images and len(jsons) == 1:
        return words.look_at(jsons[0])
    if listing.images and len(csvs) != 1:
        raise _without_classes(path, len(listing.images), csvs)
    if listing.left_out[".tar"]:
        return _shards(path)
    if by_kind := _arrays(entries):
        return arrays.look_at(path, by_kind, ARRAYS[Path(by_kind[0]).suffix.lower()])
    if len(csvs) == 1:
        return tables.look_at(csvs[0])
    raise _without_images(path, listing.left_out)


def _arrays(names: Iterable[str]) -> list[str]:
    """The files of arrays of the kind that there is most of."""
    files = [name for name in names if Path(name).suffix.lower() in ARRAYS]
    kinds = Counter(ARRAYS[Path(name).suffix.lower()] for name in files).most_common(1)
    return [name for name in files if ARRAYS[Path(name).suffix.lower()] == kinds[0][0]]


def _shards(path: Path, *notes: str) -> Found:
    return Found({"kind": "webdataset", "path": str(path)}, "tar shards (WebDataset)", list(notes))


def _without_classes(path: Path, count: int, csvs: list[Path]) -> UnchokeError:
    tables = f", {len(csvs)} CSV files" if csvs else ""
    return UnchokeError(
        "The images have no classes.",
        found=f"{count:,} images directly in the folder{tables}",
        expected="a folder for each class with its images, images/ and masks/, images/ and gt/ with a text file an "
        "image, MMOCR's JSON, or a CSV with the columns path,label",
        where=str(path.absolute()),
        do=f"unchoke init '{csvs[0]}'"
        if csvs
        else "give the folder above if that has one for each class; else sort the images into such folders",
    )


def _without_images(path: Path, left_out: Counter[str]) -> UnchokeError:
    return UnchokeError(
        "There are no images.",
        found=endings(left_out) or "an empty folder",
        expected=f"files that end in {', '.join(IMAGE_ENDINGS)}; a CSV, arrays, or tar shards",
        where=str(path.absolute()),
        do=next(filter(None, (advice(ending) for ending in left_out)), "").removeprefix(": ")
        or "give the folder that has a folder for each class",
    )


def advice(ending: str) -> str:
    """What to do about files of an ending that are left out; empty where nothing is known."""
    do = what_to_do(ending)
    return f": {do}" if do else ""
