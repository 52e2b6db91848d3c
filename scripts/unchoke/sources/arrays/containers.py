"""Files that the files of arrays refer to; they are part of the dataset too."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.sources.arrays.array import ArrayOpener, open_located
from unchoke.sources.arrays.gaps import refers_to
from unchoke.sources.arrays.values import TABLES
from unchoke.sources.locations import Fields, Location, parse_location
from unchoke.sources.source import size_and_time

Containers = Mapping[str, Mapping[str, list[int]]]
"""By location the files that its array is read from: name below the dataset's folder, size in bytes, time in ns."""

_LOOK = """
import json, sys
sys.path.insert(0, sys.argv.pop(1))
from unchoke.sources.arrays.containers import look
print(json.dumps(look(*sys.argv[1:])))
"""


def locations_of(fields: Fields) -> list[Location]:
    """All locations that are not tables or .npy files, sorted."""
    named = {parse_location(location) for by_split in fields.values() for location in by_split.values()}
    return sorted(place for place in named if Path(place.file).suffix.lower() not in TABLES)


def containers_of(root: Path, locations: Iterable[Location], open_array: ArrayOpener) -> Containers:
    """What the array of each location is read from. UnchokeError as of ``open_located``."""
    found = {}
    for location in locations:
        names = (location.file, *refers_to(open_located(root, location, open_array)))
        found[str(location)] = _states(root, names)
    return found


def files_behind(root: Path, fields: Fields, known: Containers) -> list[tuple[object, ...]]:
    """Location, name, size and time of every file that a location's file refers to.

    A file of which `known` does not say it, or of which something has changed since, is opened: in another process,
    since HDF5 needs NumPy, which the Snakefile does without. What cannot be opened refers to nothing: the job that
    builds the manifest says what is wrong with it.
    """
    locations = locations_of(fields)
    new = [place for place in locations if not _is_as_it_was(root, known.get(str(place), {}))]
    as_they_are = {str(place): _states(root, known.get(str(place), {})) for place in new}
    containers = {**known, **as_they_are, **(_look_elsewhere(root, new) if new else {})}
    return [
        (str(place), name, *state)
        for place in locations
        for name, state in containers.get(str(place), {}).items()
        if name != place.file
    ]


def look(root: str, *locations: str) -> Containers:
    """What the HDF5 files of some locations refer to; those that cannot be opened are left out."""
    from unchoke.sources.kinds.hdf5 import open_array

    found: dict[str, Mapping[str, list[int]]] = {}
    for location in map(parse_location, locations):
        try:
            found.update(containers_of(Path(root), [location], partial(open_array, root=Path(root))))
        except (UnchokeError, OSError):
            continue
    return found


def _look_elsewhere(root: Path, locations: list[Location]) -> Containers:
    library = str(Path(__file__).parents[3])
    command = [sys.executable, "-P", "-c", _LOOK, library, str(root), *map(str, locations)]
    answer = subprocess.run(command, capture_output=True, check=False)
    found: Containers = json.loads(answer.stdout) if answer.returncode == 0 else {}
    return found


def _is_as_it_was(root: Path, kept: Mapping[str, list[int]]) -> bool:
    return bool(kept) and _states(root, kept) == kept


def _states(root: Path, names: Iterable[str]) -> dict[str, list[int]]:
    return {name: list(size_and_time(root / name)) for name in names}
