"""Which files are missing that no rule declares, found by names alone: the Snakefile asks at every start.

Chunk jobs write validity and a record beside the files that rules ask for, seals write metadata of arrays, and jobs
with a receipt write what stands in it. Snakemake itself would miss none of them.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path


def with_gaps(numbers: Iterable[int], *folders: Path) -> list[int]:
    """Those of `numbers` after which no file is named, with an ending or without, in one of the folders."""
    there = [{name.partition(".")[0] for name in _names(folder)} for folder in folders]
    return [number for number in numbers if not all(str(number) in names for names in there)]


def has_metadata(store: Path) -> bool:
    """Whether every array of a store has its metadata."""
    return all((store / array / "zarr.json").exists() for array in _names(store) if array != "zarr.json")


def is_whole(receipt: Path) -> bool:
    """Whether every file of a receipt is there; see ``receipts``. What cannot be read is not whole."""
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
