"""Arrays in .npy files, read where they lie: no part of the file is mapped into memory."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unchoke.errors import UnchokeError
from unchoke.regular_files import open_regular
from unchoke.sources.arrays.array import broken_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class NpyRows:
    """The rows of an .npy file."""

    file: Path
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    offset: int
    """Of the first row in the file, bytes."""

    def __getitem__(self, rows: slice) -> "NDArray[Any]":
        """The rows of a slice with step 1; EOFError where the file ends before them."""
        import numpy as np

        start, stop, _ = rows.indices(self.shape[0])
        count, row_values = max(stop - start, 0), math.prod(self.shape[1:])
        offset = self.offset + start * row_values * self.dtype.itemsize
        values = np.fromfile(self.file, self.dtype, count * row_values, offset=offset)
        if len(values) < count * row_values:
            raise EOFError("the file ends before it")
        return values.reshape(count, *self.shape[1:])


def open_npy(file: Path, key: str = "") -> NpyRows:
    """The array of an .npy file in C order; UnchokeError where it is none, or is cut short. key: an .npy has none."""
    from numpy.lib import format as npy

    if key:
        raise UnchokeError(
            "An .npy file has no keys.", found=f"'{file.name}:{key}'", expected=f"'{file.name}'", where=str(file)
        )
    try:
        with open_regular(file) as handle:
            version = npy.read_magic(handle)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, in_fortran_order, dtype = read_header(handle)
            offset = handle.tell()
    except ValueError as error:
        raise broken_file("The file is no .npy file.", error, file) from None
    if dtype.hasobject or (in_fortran_order and len(shape) > 1) or not shape:
        raise UnchokeError(
            "The array cannot be read in place.",
            found=f"{dtype} {shape}{', in Fortran order' if in_fortran_order else ''}",
            expected="numbers or text of a fixed length, rows in C order",
            where=str(file),
            do="save it again with np.save(file, np.ascontiguousarray(x)), text as x.astype(str)",
        )
    rows = NpyRows(file, shape, dtype, offset)
    if (size := file.stat().st_size) < offset + math.prod(shape) * dtype.itemsize:
        raise broken_file("The .npy file is cut short.", f"{size:,} bytes for {dtype} {shape}", file)
    return rows
