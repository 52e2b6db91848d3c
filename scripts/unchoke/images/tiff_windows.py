"""TIFF files read in windows: by tiles, by strips, or directly from the disk or memory."""

import io
import logging
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, TiffPage

from unchoke.images.codestreams import most_bytes, size_of

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its warnings about odd files would fill the logs

Source = Path | bytes
"""A file, or its content."""

Reader = Callable[[int, int, int, int], NDArray[Any]]
"""From y0, x0, height and width (px) to the samples as they are stored, (height, width, samples)."""

_ORIENTATION_TAG = 274
_COPIES = 2  # copies of a tile or strip in a codec
_MOST_SAMPLES = 8  # of colours with alpha and others
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
_CODESTREAMS = {  # these contain their size once more
    *(COMPRESSION.JPEG, COMPRESSION.JPEG2000, COMPRESSION.APERIO_JP2000_RGB, COMPRESSION.WEBP),
}
# Bits and colours that only libtiff decodes, and that Pillow passes on unchanged.
_LIBTIFF_COMPRESSIONS = {
    *(COMPRESSION.CCITTRLE, COMPRESSION.CCITTFAX3, COMPRESSION.CCITTFAX4, COMPRESSION.OJPEG),
}
_LIBTIFF_COLOURS = {PHOTOMETRIC.YCBCR, PHOTOMETRIC.CIELAB}


def first_page(source: Source) -> TiffPage:
    """The first page of a TIFF, of a pyramid its finest level; the file is closed again.

    Raises tifffile's errors, ValueError and others, if the file is broken or not a TIFF.
    """
    with tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
        page = file.pages.first
        if 0 in page.shaped:
            raise ValueError("no pixels")
        _ = page.decode, page.colormap  # computed here, while the file is open
        return page


def page_size(page: TiffPage) -> tuple[int, int]:
    """Height and width, px, after turning upright."""
    height, width = page.imagelength, page.imagewidth
    return (width, height) if orientation_of(page) >= 5 else (height, width)


def orientation_of(page: TiffPage) -> int:
    """1 to 8 as in EXIF; 1 where it says none."""
    orientation = page.tags.valueof(_ORIENTATION_TAG, default=1)
    return orientation if orientation in range(1, 9) else 1


def hindrance(page: TiffPage, max_pixels: int, *, mask: bool) -> str:
    """Why a page cannot be read here; empty where it can.

    mask: whether to read its numbers, not its colours. max_pixels: limit for one tile or strip.
    """
    colours = colours_of(page, mask=mask)
    length, width = _segment_sides(page)
    reasons = {
        f"tiles or strips of {width} × {length} px": _has_large_segments(page, max_pixels),
        f"depth {page.imagedepth}": page.imagedepth != 1,
        f"compression {_name(page.compression)}": page.compression not in _COMPRESSIONS,
        f"colours of the kind {_name(page.photometric)}": colours == 0,
        f"{page.samplesperpixel} samples a pixel": not _has_colours(page.samplesperpixel, colours),
        f"samples of {page.bitspersample} bits ({page.dtype})": not _has_samples(page, colours, mask),
    }
    return next((reason for reason, hinders in reasons.items() if hinders), "")


def is_for_libtiff(page: TiffPage, max_pixels: int) -> bool:
    """Whether Pillow (libtiff) decodes a page that has a hindrance."""
    known = page.compression in _LIBTIFF_COMPRESSIONS or page.photometric in _LIBTIFF_COLOURS
    return (known or _is_cmyk_jpeg(page)) and page.imagedepth == 1 and not _has_large_segments(page, max_pixels)


def is_plain_lzw(page: TiffPage) -> bool:
    """Whether a page is plain 8-bit grey or RGB in LZW, which libtiff decodes three times as fast."""
    plain = (page.photometric, page.samplesperpixel) in {(PHOTOMETRIC.MINISBLACK, 1), (PHOTOMETRIC.RGB, 3)}
    usual = orientation_of(page) == page.planarconfig == page.fillorder == 1 and not page.parent.is_bigtiff
    return plain and usual and page.compression == COMPRESSION.LZW and page.dtype == np.uint8


def _has_large_segments(page: TiffPage, max_pixels: int) -> bool:
    pixels = math.prod(_segment_sides(page))
    taken = _COPIES * pixels * page.samplesperpixel * (page.dtype.itemsize if page.dtype else 1)  # all planes are kept
    return not page.is_final and (pixels > max_pixels or taken > most_bytes(max_pixels))


def rows_of_segment(page: TiffPage) -> int:
    """Rows of a tile or strip, px, at most those of the page."""
    return min(_segment_sides(page)[0], page.imagelength)


def _name(number: int) -> str:
    return getattr(number, "name", str(number))


def colours_of(page: TiffPage, *, mask: bool) -> int:
    """Samples that are no alpha: 1 of grey, a palette, or a mask's numbers; 3 of RGB; 4 of CMYK; 0 of other kinds."""
    if page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE):
        return 1
    in_jpeg = page.photometric == PHOTOMETRIC.YCBCR and page.compression == COMPRESSION.JPEG  # decoded to RGB
    if page.photometric == PHOTOMETRIC.RGB or in_jpeg:
        return 3
    return 4 if page.photometric == PHOTOMETRIC.SEPARATED and not mask and not _is_cmyk_jpeg(page) else 0


def _is_cmyk_jpeg(page: TiffPage) -> bool:
    return page.photometric == PHOTOMETRIC.SEPARATED and page.compression == COMPRESSION.JPEG


def _has_colours(samples: int, colours: int) -> bool:
    """Grey with or without alpha, or colours with or without further samples."""
    return samples in (1, 2) if colours == 1 else colours <= samples <= _MOST_SAMPLES


def _has_samples(page: TiffPage, colours: int, mask: bool) -> bool:
    """Whether its samples are numbers of a known range."""
    # libtiff turns the bytes of 24 bits round as the file's order says, tifffile does not.
    if page.dtype is None or not isinstance(page.bitspersample, int) or page.bitspersample == 24:
        return False
    if mask:
        return page.dtype.kind in "biu" if colours == 1 else page.dtype == np.uint8
    if page.photometric == PHOTOMETRIC.PALETTE:
        return page.dtype.kind in "bu" and page.colormap is not None
    return page.dtype.kind in "biuf"


def _segment_sides(page: TiffPage) -> tuple[int, int]:
    """Length and width of a tile or strip, px."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def reader_of(source: Source, page: TiffPage) -> Reader:
    """A function that reads windows of the first page of the TIFF `source`; the caller keeps them inside the page.

    Several threads may call it. It raises the codecs' errors where the file is broken.
    """
    return _mapped(source, page) if page.is_final else _Segments(source, page).read


def _mapped(source: Source, page: TiffPage) -> Reader:
    """Uncompressed rows, memory-mapped: the system reads only the pixels used."""
    assert page.dtype is not None  # a final page has one
    dtype, start = page.dtype.newbyteorder(page.parent.byteorder), page.dataoffsets[0]
    if isinstance(source, bytes):
        stored_SDHWC = np.frombuffer(source, dtype, math.prod(page.shaped), start).reshape(page.shaped)
    else:
        stored_SDHWC = np.memmap(source, dtype, "r", start, page.shaped)

    def read(y0: int, x0: int, height: int, width: int) -> NDArray[Any]:
        window_SHWC = stored_SDHWC[:, 0, y0 : y0 + height, x0 : x0 + width]
        return _channels_last(window_SHWC.astype(page.dtype, copy=not isinstance(source, bytes)))

    return read


def _channels_last(planes_SHWC: NDArray[Any]) -> NDArray[Any]:
    """One array (H, W, S · C) from S planes with C samples each; S or C is 1."""
    return planes_SHWC[0] if planes_SHWC.shape[3] > 1 else planes_SHWC[..., 0].transpose(1, 2, 0)


class _Segments:
    """Tiles or strips, decoded when they are first looked at; the last ones are kept."""

    def __init__(self, source: Source, page: TiffPage) -> None:
        self.source, self.page = source, page
        self.planes, _, self.height, self.width, self.samples = page.shaped
        self.length, self.across = _segment_sides(page)
        assert page.dtype is not None  # else there was a hindrance
        self.dtype = page.dtype
        segment_bytes = self.length * self.across * self.samples * self.dtype.itemsize
        kept = 0 if isinstance(source, bytes) else _KEPT_BYTES // segment_bytes  # whole pages are read once
        self.segment = lru_cache(max(self.planes, kept))(self._segment)

    def read(self, y0: int, x0: int, height: int, width: int) -> NDArray[Any]:
        whole = (height, width) == (self.height, self.width) == (self.length, self.across) and self.planes == 1
        if whole and list(self._numbers(y0, x0, height, width)) == [0]:
            return self._segment(0)[0]  # the picture is one segment, so no copy is needed
        window = np.full((self.planes, height, width, self.samples), self.page.nodata, self.dtype)
        for number in self._numbers(y0, x0, height, width):
            tile_HWC, plane, top, left = self.segment(number)
            y, x = max(top, y0), max(left, x0)
            part = tile_HWC[y - top : y0 + height - top, x - left : x0 + width - left]
            window[plane, y - y0 : y - y0 + part.shape[0], x - x0 : x - x0 + part.shape[1]] = part
        return _channels_last(window)

    def _numbers(self, y0: int, x0: int, height: int, width: int) -> Iterator[int]:
        """Numbers of the stored tiles or strips that a window touches."""
        rows, columns = math.ceil(self.height / self.length), math.ceil(self.width / self.across)
        for plane in range(self.planes):
            for row in range(y0 // self.length, (y0 + height - 1) // self.length + 1):
                for column in range(x0 // self.across, (x0 + width - 1) // self.across + 1):
                    number = (plane * rows + row) * columns + column
                    if self.page.dataoffsets[number] and self.page.databytecounts[number]:
                        yield number

    def _segment(self, number: int) -> tuple[NDArray[Any], int, int, int]:
        """A tile or strip (height, width, samples), its plane, and its first row and column in the image."""
        data = self._stored(self.page.dataoffsets[number], self.page.databytecounts[number])
        if self.page.compression in _CODESTREAMS:
            _check_codestream(data, self.across, self.length)
        tile_DHWC, (plane, _, top, left, _), _ = self.page.decode(data, number, jpegtables=self.page.jpegtables)
        assert tile_DHWC is not None  # None only for segments that the file leaves out
        return tile_DHWC[0], plane, top, left

    def _stored(self, start: int, size: int) -> bytes:
        if isinstance(self.source, bytes):
            data = self.source[start : start + size]
        else:
            with self.source.open("rb") as file:
                left = max(0, file.seek(0, io.SEEK_END) - start)
                file.seek(start)
                data = file.read(min(size, left))  # read() allocates as many bytes as it is asked for
        if len(data) < size:
            raise ValueError("the file is cut short")
        return data


def _check_codestream(data: bytes, width: int, length: int) -> None:
    """ValueError where the picture inside a tile or strip has a larger size in its header."""
    found = size_of(data)
    if not found or found[0] > width or found[1] > length:
        size = f"{found[0]} × {found[1]} px" if found else "no size"
        raise ValueError(f"a tile or strip of {width} × {length} px holds a picture of {size}")
