"""Arrays that are folders of files, some of which may be links."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.regular_files import irregular


def files_of_store(store: Path) -> Iterator[tuple[str, bool]]:
    """The paths of all files below a folder, and whether a link led there; a folder behind a link is listed once."""
    waiting, seen = [(os.fspath(store), False)], set[str]()
    while waiting:
        folder, linked = waiting.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:  # missing or closed to us; opening the array reports it
            continue
        for entry in entries:
            behind = linked or entry.is_symlink()
            if not _is_folder(entry):
                yield entry.path, behind
            elif not entry.is_symlink():
                waiting.append((entry.path, behind))
            elif (real := os.path.realpath(entry.path)) not in seen:
                seen.add(real)
                waiting.append((entry.path, behind))


def refuse_unfit_store(store: Path, root: Path) -> None:
    """UnchokeError where an entry of a store is not a regular file, is a broken link, or lies outside the dataset's
    folder.

    Readers of Zarr treat a broken link as a chunk of fill values. root: the dataset's folder. A store that is itself a
    link may lie elsewhere.
    """
    allowed = [os.path.realpath(place) for place in (root, store)]
    for name, linked in files_of_store(store):
        if found := _why_unfit(name, allowed if linked else []):
            raise UnchokeError(
                "A store has a file that cannot be read.",
                found=found,
                expected=f"a regular file, or a link to one below {root}",
                where=name,
                do="put the file itself in its place, or set dataset.path to a folder that holds both",
            )


def _why_unfit(name: str, allowed: list[str]) -> str:
    """allowed: folders that it must lie in; none: it lies there."""
    try:
        mode = Path(name).stat().st_mode
    except FileNotFoundError:
        return f"a link to nothing, {Path(name).readlink()}" if Path(name).is_symlink() else ""
    if not stat.S_ISREG(mode):
        return irregular(mode) or "no file"
    if not allowed:
        return ""
    real = os.path.realpath(name)
    return "" if any(os.path.commonpath([place, real]) == place for place in allowed) else f"a link to {real}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
