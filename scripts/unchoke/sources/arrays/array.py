"""Images that are rows of arrays in files: the shared code of the sources hdf5, npy and zarr.

Nothing here imports NumPy before an array is opened: the Snakefile takes digests of listings.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from unchoke.errors import UnchokeError
from unchoke.names import MAX_ROWS, nearest, suggestion
from unchoke.regular_files import check_regular, named
from unchoke.sources.locations import Location

MOST_NAMED = 10  # names that an error lists


class Rows(Protocol):
    """An array that is read in slices of its first axis."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""

    @property
    def dtype(self) -> Any:
        """NumPy's name of its numbers."""

    def __getitem__(self, rows: slice) -> Any:
        """The rows of a slice as a NumPy array, a copy."""


ArrayOpener = Callable[[Path, str], Rows]
"""From a file that is there and a key in it to the array; UnchokeError where there is none."""


def open_located(root: Path, location: Location, open_array: ArrayOpener) -> Rows:
    """The array at a location; UnchokeError where its file is missing, or only its packed form is there."""
    file = root / location.file
    if not file.exists():
        packed = file.with_name(f"{file.name}.gz")
        names = [entry.name for entry in file.parent.iterdir()] if file.parent.is_dir() else []
        raise UnchokeError(
            "A file of arrays is missing.",
            found=packed.name
            if packed.exists()
            else ", ".join(nearest(file.name, names, count=1)) or "nothing like it",
            expected=file.name,
            where=str(file.parent.absolute()),
            do=f"gunzip {packed}" if packed.exists() else "correct dataset.path, or the location below it",
        )
    if not file.is_dir():
        with named("A file of arrays cannot be read.", file, "put the file in its place, or correct the location"):
            check_regular(file)
    try:
        array = open_array(file, location.key)
        check_rows(array.shape, f"{root}, {location}")
        return array
    except (PermissionError, IsADirectoryError) as error:
        raise broken_file("A file of arrays may not be read.", error, file) from None


def missing_key(key: str, known: list[str], file: Path) -> UnchokeError:
    """The error for a file that has no array of this name; known: those that it has."""
    return UnchokeError(
        "An array is missing." if key else "It is not said which array of the file is meant.",
        found=listed(known) or "no arrays",
        expected=f"an array '{key}'" if key else f"a location with a key, '{file.name}:{(known or ['x'])[0]}'",
        where=str(file),
        do=suggestion(key, known[:MOST_NAMED]) if known else "name another file",
    )


def listed(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def broken_file(problem: str, error: Exception | str, file: Path) -> UnchokeError:
    """The error for a file that is broken, or of another kind."""
    return UnchokeError(
        problem,
        found=" ".join(str(error).split()) or type(error).__name__,
        where=str(file),
        do="copy or download the file again, or correct dataset.kind",
    )


def check_rows(shape: tuple[int, ...], where: str) -> None:
    """UnchokeError where an array has more rows than a manifest can hold."""
    if shape and shape[0] > MAX_ROWS:
        raise UnchokeError(
            "An array has more rows than a dataset can have.",
            found=f"{shape[0]:,} rows",
            expected=f"at most {MAX_ROWS:,}: the manifest is held in memory",
            where=where,
            do="split it into several datasets, one run each, or name another array",
        )


def check_images(array: Rows, where: str) -> None:
    """UnchokeError where an array does not hold images: uint8 (N, H, W, 3), (N, H, W, 1) or (N, H, W)."""
    shape, dtype = tuple(array.shape), array.dtype
    has_colours = len(shape) == 4 and shape[-1] in (1, 3)
    if dtype == "uint8" and 0 not in shape and (has_colours or len(shape) == 3):
        return
    if 0 in shape:
        problem, do = "The array of images is empty.", "name another array"
    elif dtype != "uint8":
        problem = f"The images are of type {dtype}."
        do = "store np.round(255 * x).astype('uint8') where values go from 0 to 1, x.astype('uint8') where to 255"
    elif len(shape) == 4 and shape[1] in (1, 3):
        problem = "The channels of the images stand before height and width."
        do = "store np.moveaxis(x, 1, -1)"
    else:
        problem, do = "The array holds no images.", "name another array"
    raise UnchokeError(
        problem,
        found=f"{dtype} {shape}",
        expected="uint8 (rows, height, width, 3), or grey: (rows, height, width) or (rows, height, width, 1)",
        where=where,
        do=do,
    )
