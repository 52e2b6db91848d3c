"""Pure: masks as PNG files with a palette, a band of rows at a time: Pillow would want the whole picture in memory."""

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE_COLOUR = 3  # colour type of the PNG specification, 11.2.2


def palette_png(
    bands: Iterable[NDArray[np.uint8]], height: int, width: int, palette: list[tuple[int, int, int]]
) -> bytes:
    """The bytes of a PNG whose pixels are places in `palette`.

    bands: uint8 (rows, width) from the top down, `height` rows in all. palette: RGB, 0 to 255, at most 256 of them.
    """
    compressor = zlib.compressobj(6)
    packed = [compressor.compress(_scanlines(band)) for band in bands]
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE_COLOUR, 0, 0, 0)
    colours = np.array(palette, np.uint8).tobytes()
    parts = [(b"IHDR", header), (b"PLTE", colours), (b"IDAT", b"".join(packed) + compressor.flush()), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_part(name, data) for name, data in parts)


def _scanlines(band: NDArray[np.uint8]) -> bytes:
    """Every row with the number of its filter before it: 0, none."""
    return np.pad(band, ((0, 0), (1, 0))).tobytes()


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
