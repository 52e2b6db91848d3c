"""Other files that an HDF5 file refers to: by external links, by virtual datasets and as external storage.

HDF5 looks for them in several places, and follows them wherever they lie. This module looks at the same places first.
It refuses irregular files and files outside the dataset's folder before HDF5 opens them.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unchoke.errors import UnchokeError
from unchoke.regular_files import check_regular

if TYPE_CHECKING:
    import h5py

LINKS, VIRTUAL = "HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX"
"""Variables with folders that HDF5 searches first."""
_STORAGE = "HDF5_EXTFILE_PREFIX"
_MOST_LINKS = 32  # that may follow each other; HDF5's own default is 16


class MissingError(Exception):
    """What is referred to is not there, or cannot be read; says what, without a folder's name."""


class Folder:
    """A dataset's folder, and which files below it were referred to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real = os.path.realpath(root)
        self.referred: dict[str, None] = {}
        """Below the folder, whether they are there or not, in the order in which they were met."""

    def find(self, name: str, file: Path, variable: str) -> Path:
        """The file that `file` refers to by `name`, where HDF5 would find it.

        MissingError where there is none; UnchokeError where it lies elsewhere or is no regular file.
        """
        return self._first(_places(name, file, variable), name, file)

    def find_storage(self, name: str, file: Path) -> Path:
        """The same for a raw file of external storage: relative to the working directory, as HDF5 has it."""
        prefix = os.environ.get(_STORAGE, "").replace("${ORIGIN}", str(file.parent))
        return self._first([Path(prefix, name)], name, file)

    def _first(self, places: list[Path], name: str, file: Path) -> Path:
        for place in places:
            self._note(place)
            if place.exists():
                self._refuse_unfit(place, name, file)
                return place
        raise MissingError(f"{Path(name).name} is missing")

    def _note(self, place: Path) -> None:
        below = Path(os.path.relpath(place.parent.resolve(), self._real), place.name)
        if below.parts[0] != os.pardir:
            self.referred[str(below)] = None

    def _refuse_unfit(self, place: Path, name: str, file: Path) -> None:
        if os.path.commonpath([self._real, os.path.realpath(place)]) != self._real:
            raise UnchokeError(
                "An HDF5 file refers to a file outside of the dataset's folder.",
                found=name,
                expected=f"files below {self.root}, links followed",
                where=str(file),
                do="move the file below this folder, or set dataset.path to a folder that holds both",
            )
        try:
            check_regular(place)
        except OSError as error:
            raise UnchokeError(
                "An HDF5 file refers to what is no file.",
                found=f"{name}: {error.strerror}",
                expected="a regular file",
                where=str(file),
                do="put the file in its place",
            ) from None


def _places(name: str, file: Path, variable: str) -> list[Path]:
    """Where HDF5 looks for a file, in its order: H5F_prefix_open_file in its source."""
    is_absolute = Path(name).is_absolute()
    last = Path(name).name if is_absolute else name
    prefixes = [prefix for prefix in os.environ.get(variable, "").split(":") if prefix]
    folders = [prefix.replace("${ORIGIN}", str(file.parent)) for prefix in prefixes]
    folders += map(str, (file.parent.absolute(), Path.cwd(), file.resolve().parent))
    return [*([Path(name)] if is_absolute else []), *(Path(folder, last) for folder in dict.fromkeys(folders))]


def opened(stack: ExitStack, file: Path) -> "h5py.File":
    """A file that is referred to, open until `stack` is closed; MissingError where it cannot be read."""
    import h5py

    try:
        return stack.enter_context(h5py.File(file, "r", locking=False))
    except OSError:
        raise MissingError(f"{file.name} cannot be read") from None


def dataset_at(
    stack: ExitStack, handle: "h5py.File", file: Path, key: str, folder: Folder, hops: int = 0
) -> tuple[Any, Path]:
    """The dataset of a key in the open `file`, and the file that it lies in, links followed.

    stack: keeps open what links lead to. Errors as of ``Folder.find``.
    """
    import h5py

    place, link = _follow(handle, key)
    if isinstance(link, h5py.ExternalLink):
        if hops == _MOST_LINKS:
            raise MissingError("links lead to each other")
        other = folder.find(link.filename, file, LINKS)
        return dataset_at(stack, opened(stack, other), other, f"{link.path}/{place}", folder, hops + 1)
    found = handle.get(place) if place else None
    if not isinstance(found, h5py.Dataset):
        raise MissingError(f"{file.name} has no dataset {key.strip('/')}")
    return found, file


def _follow(handle: "h5py.File", key: str) -> tuple[str, Any]:
    """A path without soft links; or, at the first external link, what is behind it, and the link."""
    import h5py

    done: list[str] = []
    waiting = [part for part in key.split("/") if part not in ("", ".")]
    soft = 0
    while waiting:
        part = waiting.pop(0)
        link = handle.get("/".join([*done, part]), getlink=True)
        if isinstance(link, h5py.ExternalLink):
            return "/".join(waiting), link
        if isinstance(link, h5py.SoftLink):
            soft += 1
            if soft > _MOST_LINKS:
                raise MissingError("links lead to each other")
            done = [] if link.path.startswith("/") else done
            waiting = [*(part for part in link.path.split("/") if part not in ("", ".")), *waiting]
        else:
            done.append(part)
    return "/".join(done), None
