"""TIFF files read in windows: tile by tile, strip by strip, or where they lie on the disk."""

import io
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, TiffPage

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a file begins: little- or big-endian, classic or BigTIFF."""

Reader = Callable[[int, int, int, int], NDArray[Any]]
"""From y0, x0, height and width (px) to the samples as they are stored, (height, width, samples)."""

_ORIENTATION_TAG = 274
_ASSOCIATED_ALPHA = 1
_KEPT_BYTES = 64 * 2**20  # of decoded tiles: a row of them across a slide, which neighbouring patches share
_COMPRESSIONS = {
    COMPRESSION.NONE,
    COMPRESSION.LZW,
    COMPRESSION.JPEG,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.DEFLATE,
    COMPRESSION.PACKBITS,
    COMPRESSION.LZMA,
    COMPRESSION.JPEG2000,
    COMPRESSION.APERIO_JP2000_RGB,
    COMPRESSION.ZSTD,
    COMPRESSION.WEBP,
}


def first_page(path: Path) -> TiffPage:
    """The first page of a TIFF, of a pyramid its finest level; the file is closed again.

    Raises what tifffile raises, ValueError and others, where the file is none or is broken.
    """
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        if 0 in page.shaped:
            raise ValueError("no pixels")
        _ = page.decode  # made and kept here, since it looks at the first tile
        return page


def page_size(page: TiffPage) -> tuple[int, int]:
    """Height and width, px, as its orientation wants it shown."""
    height, width = page.imagelength, page.imagewidth
    return (width, height) if _orientation(page) >= 5 else (height, width)


def _orientation(page: TiffPage) -> int:
    return int(page.tags.valueof(_ORIENTATION_TAG, default=1))


def hindrance(page: TiffPage, max_pixels: int, *, mask: bool) -> str:
    """Why a page cannot be read in windows, so that the whole of it has to be decoded; empty where it can.

    mask: whether its numbers are wanted, not its colours. max_pixels: the most that one tile or strip may hold.
    """
    colours = _colours(page, mask)
    length, width = _segment_sides(page)
    reasons = {
        f"depth {page.imagedepth}": page.imagedepth != 1,
        f"orientation {_orientation(page)}": _orientation(page) != 1,
        f"compression {_name(page.compression)}": page.compression not in _COMPRESSIONS,
        f"colours of the kind {_name(page.photometric)}": colours == 0,
        f"{page.samplesperpixel} samples a pixel": page.samplesperpixel not in (colours, colours + 1),
        "premultiplied alpha": _ASSOCIATED_ALPHA in page.extrasamples,
        f"samples of {page.bitspersample} bits": not _has_samples(page, colours, mask),
        f"tiles or strips of {width} × {length} px": length * width > max_pixels and not page.is_final,
    }
    return next((reason for reason, hinders in reasons.items() if hinders), "")


def _name(number: int) -> str:
    return getattr(number, "name", str(number))


def _colours(page: TiffPage, mask: bool) -> int:
    """1 for grey, and for a mask's numbers whatever they are shown as; 3 for RGB; 0 for what is neither."""
    shown_otherwise = (PHOTOMETRIC.PALETTE, PHOTOMETRIC.MINISWHITE)
    if page.photometric == PHOTOMETRIC.MINISBLACK or (mask and page.photometric in shown_otherwise):
        return 1
    in_jpeg = page.photometric == PHOTOMETRIC.YCBCR and page.compression == COMPRESSION.JPEG  # decoded to RGB
    return 3 if page.photometric == PHOTOMETRIC.RGB or in_jpeg else 0


def _has_samples(page: TiffPage, colours: int, mask: bool) -> bool:
    """Whether its samples are of a kind that needs no look at the other pixels."""
    if page.dtype is None:
        return False
    if mask:
        return page.dtype.kind in "biu" if colours == 1 else page.dtype == np.uint8
    return page.dtype.kind == "f" or (page.dtype.kind == "u" and page.bitspersample in (8, 16))


def _segment_sides(page: TiffPage) -> tuple[int, int]:
    """Length and width of a tile or strip, px."""
    return (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)


def reader_of(path: Path, page: TiffPage) -> Reader:
    """What reads windows of the first page of the TIFF at `path`; where they lie inside it is up to the caller.

    It may be called by several threads, and raises what codecs raise where the file is broken.
    """
    return _mapped(path, page) if page.is_final else _Segments(path, page).read


def _mapped(path: Path, page: TiffPage) -> Reader:
    """Pixels that lie on the disk row by row, as they are: the system reads what is looked at."""
    assert page.dtype is not None  # a final page has one
    dtype = page.dtype.newbyteorder(page.parent.byteorder)
    stored_SDHWC = np.memmap(path, dtype, "r", page.dataoffsets[0], page.shaped)

    def read(y0: int, x0: int, height: int, width: int) -> NDArray[Any]:
        return _channels_last(stored_SDHWC[:, 0, y0 : y0 + height, x0 : x0 + width].astype(page.dtype))

    return read


def _channels_last(planes_SHWC: NDArray[Any]) -> NDArray[Any]:
    """Of S planes with C samples each, one of which is 1, one array (H, W, S · C)."""
    return planes_SHWC[0] if planes_SHWC.shape[3] > 1 else planes_SHWC[..., 0].transpose(1, 2, 0)


class _Segments:
    """Tiles or strips, decoded when they are first looked at; the last ones are kept."""

    def __init__(self, path: Path, page: TiffPage) -> None:
        self.path, self.page = path, page
        self.planes, _, self.height, self.width, self.samples = page.shaped
        self.length, self.across = _segment_sides(page)
        assert page.dtype is not None  # else there was a hindrance
        self.dtype = page.dtype
        segment_bytes = self.length * self.across * self.samples * self.dtype.itemsize
        self.segment = lru_cache(max(1, _KEPT_BYTES // segment_bytes))(self._segment)

    def read(self, y0: int, x0: int, height: int, width: int) -> NDArray[Any]:
        window = np.full((self.planes, height, width, self.samples), self.page.nodata, self.dtype)
        for number in self._numbers(y0, x0, height, width):
            tile_HWC, plane, top, left = self.segment(number)
            y, x = max(top, y0), max(left, x0)
            part = tile_HWC[y - top : y0 + height - top, x - left : x0 + width - left]
            window[plane, y - y0 : y - y0 + part.shape[0], x - x0 : x - x0 + part.shape[1]] = part
        return _channels_last(window)

    def _numbers(self, y0: int, x0: int, height: int, width: int) -> Iterator[int]:
        """Of the tiles or strips that a window touches, and that are not left out of the file."""
        rows, columns = math.ceil(self.height / self.length), math.ceil(self.width / self.across)
        for plane in range(self.planes):
            for row in range(y0 // self.length, (y0 + height - 1) // self.length + 1):
                for column in range(x0 // self.across, (x0 + width - 1) // self.across + 1):
                    number = (plane * rows + row) * columns + column
                    if self.page.dataoffsets[number] and self.page.databytecounts[number]:
                        yield number

    def _segment(self, number: int) -> tuple[NDArray[Any], int, int, int]:
        """A tile or strip (height, width, samples), its plane, and its first row and column in the image."""
        start, size = self.page.dataoffsets[number], self.page.databytecounts[number]
        with self.path.open("rb") as file:
            if start + size > file.seek(0, io.SEEK_END):
                raise ValueError("the file is cut short")
            file.seek(start)
            data = file.read(size)
        tile_DHWC, (plane, _, top, left, _), _ = self.page.decode(data, number, jpegtables=self.page.jpegtables)
        assert tile_DHWC is not None  # it is for segments that are left out alone
        return tile_DHWC[0], plane, top, left
