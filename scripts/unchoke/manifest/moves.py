"""Pure: which images of the manifest the files of a listing are: by path, size and time, or else by their bytes."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

VANISHED = "vanished"
FORGOTTEN = "forgotten"
GONE = (VANISHED, FORGOTTEN)
"""Reasons of rows whose files are not there; the others are reasons of images that are."""

_STATE = ["path", "size_bytes", "mtime_ns"]
_NEW = -1


class Known(NamedTuple):
    """An image of the manifest, or a file of the listing, whose bytes are known."""

    number: int
    """Of the image its id, of the file its place in the listing."""
    path: str
    label: str
    digest: str


@dataclass(frozen=True)
class Placing:
    """Which image each file of a listing is."""

    image_id_N: NDArray[np.int64]
    """By place in the listing; new images have the next ids in its order."""
    same: frozenset[int]
    """Image ids whose bytes are as they were: of unchanged files, and those of `moved`."""
    moved: frozenset[int]
    """Image ids whose bytes are as they were, at another path or with another time."""
    unproven: int
    """New files of the size of a vanished image whose digest nobody knows."""


Digests = Callable[[Sequence[int]], Mapping[int, str]]
"""From image ids, or places in the listing, to the digests of those whose bytes are known."""


def place_files(old: pd.DataFrame, found: pd.DataFrame, known: Digests, read: Digests) -> Placing:
    """Give every file of a listing the id of the image that it is.

    old: the manifest, its rows in the order of their ids. found: the listing, with the columns of ``ImageFile``. known:
    digests of images as they were listed last. read: digests of files now. Both are asked only where sizes agree.

    A file is the image with its path, size and time; else the one with its bytes (``match_bytes``); else the one with
    its path, as it was edited; else it is new. No image gets two files, and a forgotten one gets none.
    """
    candidates = _candidates(old)
    image_id_N = _unchanged(candidates, found)
    unchanged = image_id_N[image_id_N != _NEW].tolist()
    moved, unproven = _same_bytes(_left(candidates, image_id_N), found[image_id_N == _NEW], known, read)
    for place, image_id in moved.items():
        image_id_N[place] = image_id
    of_path = _left(candidates, image_id_N).drop_duplicates("path").set_index("path")["image_id"]
    places = np.flatnonzero(image_id_N == _NEW)
    image_id_N[places] = found["path"].iloc[places].map(of_path).fillna(_NEW).astype(np.int64)
    new = image_id_N == _NEW
    image_id_N[new] = len(old) + np.arange(new.sum())
    ids = frozenset(moved.values())
    return Placing(image_id_N, ids.union(unchanged), ids, sum(bool(new[place]) for place in unproven))


def describe_placing(old: pd.DataFrame, frame: pd.DataFrame, placing: Placing) -> list[str]:
    """What was recognised, a sentence each. old, frame: the manifest before and after."""
    before, after = (table.set_index("image_id").loc[sorted(placing.moved)] for table in (old, frame))
    moved = before["path"] != after["path"]
    counts = {
        "images moved: they keep id, split and features": moved,
        "of them have another label now": moved & (before["label"] != after["label"]),
        "of them are in another split now, as the data or their group says": moved
        & (before["split"] != after["split"])
        & (after["excluded"] == ""),
        "files have a new time and the same bytes: their features stay": ~moved,
    }
    notes = [f"{int(which.sum()):,} {text}" for text, which in counts.items() if which.any()]
    if placing.unproven:
        notes.append(
            f"{placing.unproven:,} new images are as large as vanished ones, and count as new: whether these moved is "
            "not known, since no digest of them was recorded (features not made yet, or of an earlier release)"
        )
    return notes


def _candidates(old: pd.DataFrame) -> pd.DataFrame:
    """The images that a file may be: those that were there at the last listing before vanished ones."""
    rows = old[old["excluded"] != FORGOTTEN]
    return rows.assign(gone=rows["excluded"] == VANISHED).sort_values("gone", kind="stable")


def _unchanged(candidates: pd.DataFrame, found: pd.DataFrame) -> NDArray[np.int64]:
    """By place in the listing the id of the image with the same path, size and time; -1 where there is none."""
    image_id_N = np.full(len(found), _NEW, np.int64)
    there = candidates[~candidates["gone"]]  # no two of them have one path
    row_N = pd.Index(there["path"]).get_indexer(pd.Index(found["path"]))
    places = np.flatnonzero(row_N >= 0)
    known = there.iloc[row_N[places]]
    same = (known[_STATE[1:]].to_numpy(np.int64) == found[_STATE[1:]].to_numpy(np.int64)[places]).all(1)
    image_id_N[places[same]] = known["image_id"].to_numpy(np.int64)[same]
    left = found[_STATE][image_id_N == _NEW]
    vanished = candidates[candidates["gone"]].drop_duplicates(_STATE)
    back = left.reset_index().merge(vanished[[*_STATE, "image_id"]], "inner", _STATE)
    image_id_N[back["index"].to_numpy(np.int64)] = back["image_id"]
    return image_id_N


def _left(candidates: pd.DataFrame, image_id_N: NDArray[np.int64]) -> pd.DataFrame:
    return candidates[~candidates["image_id"].isin(image_id_N)]


def _same_bytes(
    rows: pd.DataFrame, files: pd.DataFrame, known: Digests, read: Digests
) -> tuple[dict[int, int], list[int]]:
    """By place of a file the image whose bytes it has; and places of files that images of unknown bytes may be."""
    rows = rows[rows["size_bytes"].isin(files["size_bytes"]) & (rows["size_bytes"] > 0)]
    if not len(rows):
        return {}, []
    of_rows = known(rows["image_id"].tolist())
    unknown = rows[~rows["image_id"].isin(of_rows) & ~rows["path"].isin(files["path"])]
    rows = rows[rows["image_id"].isin(of_rows)]
    unproven = files[files["size_bytes"].isin(unknown["size_bytes"])].index.tolist()
    files = files[files["size_bytes"].isin(rows["size_bytes"])]
    of_files = read(files.index.tolist()) if len(files) else {}
    numbered = files.assign(place=files.index)[files.index.isin(of_files)]
    return match_bytes(_known(rows, "image_id", of_rows), _known(numbered, "place", of_files)), unproven


def _known(frame: pd.DataFrame, number: str, digests: Mapping[int, str]) -> list[Known]:
    columns = zip(frame[number].tolist(), frame["path"], frame["label"], strict=True)
    return [Known(place, path, label, digests[place]) for place, path, label in columns]


def match_bytes(images: Sequence[Known], files: Sequence[Known]) -> dict[int, int]:
    """By number of a file the number of the image that has its bytes; no image is given twice.

    Of several with the same bytes, first those with the same path belong together, then those with the same label, then
    all others, each time in the order in which they come.
    """
    placed: dict[int, int] = {}
    taken: set[int] = set()
    for key in (_by_path, _by_label, _by_digest):
        waiting = _in_line((image for image in images if image.number not in taken), key)
        for file in files:
            if file.number not in placed and (line := waiting.get(key(file))):
                placed[file.number] = line.popleft()
        taken = set(placed.values())
    return placed


def _in_line(images: Iterable[Known], key: Callable[[Known], Hashable]) -> dict[Hashable, deque[int]]:
    line: dict[Hashable, deque[int]] = defaultdict(deque)
    for image in images:
        line[key(image)].append(image.number)
    return line


def _by_path(known: Known) -> Hashable:
    return known.digest, known.path


def _by_label(known: Known) -> Hashable:
    return known.digest, known.label


def _by_digest(known: Known) -> Hashable:
    return known.digest
