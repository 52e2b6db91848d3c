"""Missing files that no rule declares, found by their names alone; the Snakefile asks at every start.

Some files are written beside the declared outputs: validity and record of a chunk, metadata of arrays, files of a
receipt. Snakemake itself does not notice when one of these is missing.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path


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
        files = json.loads(receipt.read_bytes())["files"]
        places = [file.rpartition("/") for file in files]
        there = {folder: set(_names(receipt.parent / folder)) for folder in {folder for folder, _, _ in places}}
        return all(name in there[folder] for folder, _, name in places)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
