"""Pictures and masks from TIFF: the colours of every kind of sample, and whole pages from the bytes of a file."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import PHOTOMETRIC, TiffPage

from unchoke.errors import UnreadableImageError
from unchoke.images import tiff_windows
from unchoke.images.decode import check_size, open_picture
from unchoke.images.upright import BAND_PX, Stored, eight_bits, orientation_of

_ASSOCIATED_ALPHA = 1

Convert = Callable[[NDArray[Any]], NDArray[Any]]
"""From samples as they are stored, (H, W, samples), to colours or numbers."""


def decode_tiff(data: bytes, max_pixels: int) -> Stored:
    """The first page of a TIFF, as it is stored; raises what decoders raise."""
    page = tiff_windows.first_page(data)
    check_size(page.imagewidth, page.imagelength, max_pixels)
    reason = tiff_windows.hindrance(page, max_pixels, mask=False)
    if not (reason or tiff_windows.is_plain_lzw(page)):
        return Stored(whole_page(data, page, rgb_of(page)), tiff_windows.orientation_of(page))
    if reason and not tiff_windows.is_for_libtiff(page, max_pixels):
        raise UnreadableImageError(f"TIFF with {reason}, which is not read")
    with open_picture(data, max_pixels) as image:
        image.load()
        return Stored(image, orientation_of(image))


def whole_page(data: bytes, page: TiffPage, convert: Convert) -> NDArray[Any]:
    """All of a page, converted in bands of rows, since samples may be larger than what they become."""
    read, height, width = tiff_windows.reader_of(data, page), page.imagelength, page.imagewidth
    rows = _rows_of_band(page)
    pixels_HWx = convert(read(0, 0, min(rows, height), width))
    if rows < height:
        first_HWx, pixels_HWx = pixels_HWx, np.empty((height, *pixels_HWx.shape[1:]), pixels_HWx.dtype)
        pixels_HWx[:rows] = first_HWx
        for y0 in range(rows, height, rows):
            pixels_HWx[y0 : y0 + rows] = convert(read(y0, 0, min(rows, height - y0), width))
    return np.ascontiguousarray(pixels_HWx)


def _rows_of_band(page: TiffPage) -> int:
    """Whole rows of tiles, so that none is decoded twice; of one strip also parts."""
    rows = max(1, tiff_windows.rows_of_segment(page))
    if page.is_final or (not page.is_tiled and rows * page.imagewidth > BAND_PX):
        return max(1, BAND_PX // page.imagewidth)
    return rows * math.ceil(BAND_PX / (rows * page.imagewidth))


def turned_array(pixels_HWx: NDArray[Any], orientation: int) -> NDArray[Any]:
    """As it is to be seen; see ``upright.turned``."""
    if orientation >= 5:
        pixels_HWx, orientation = pixels_HWx.swapaxes(0, 1), orientation - 4
    rows, columns = (-1 if orientation in (3, 4) else 1), (-1 if orientation in (2, 3) else 1)
    return np.ascontiguousarray(pixels_HWx[::rows, ::columns])


def rgb_of(page: TiffPage) -> Convert:
    """From samples of a page without hindrance to uint8 (H, W, 3).

    What lies behind the colours is dropped. Colours that were multiplied by alpha are divided by it, as Pillow does.
    """
    colours, full = tiff_windows.colours_of(page, mask=False), _full_of(page)
    alpha = list(page.extrasamples).index(_ASSOCIATED_ALPHA) if _ASSOCIATED_ALPHA in page.extrasamples else None

    def convert(samples_HWC: NDArray[Any]) -> NDArray[np.uint8]:
        colours_HWC = samples_HWC[..., :colours]
        if page.photometric == PHOTOMETRIC.PALETTE:
            return _looked_up(page, colours_HWC[..., 0])
        if alpha is not None:
            colours_HWC = _divided(colours_HWC, samples_HWC[..., colours + alpha, None], full)
        eight_HWC = eight_bits(colours_HWC, full)
        if page.photometric == PHOTOMETRIC.MINISWHITE:
            eight_HWC = 255 - eight_HWC
        if colours == 4:
            return np.asarray(Image.fromarray(np.ascontiguousarray(eight_HWC), "CMYK").convert("RGB"))
        return np.broadcast_to(eight_HWC, (*eight_HWC.shape[:2], 3))

    return convert


def _full_of(page: TiffPage) -> int | None:
    """The largest value of unsigned samples of fewer than 32 bits; None for others, see ``upright.eight_bits``."""
    assert page.dtype is not None  # else there was a hindrance
    return 2**page.bitspersample - 1 if page.dtype.kind == "u" and page.bitspersample < 32 else None


def _looked_up(page: TiffPage, places_HW: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours of a palette, whose 16 bits are cut to 8 as Pillow does it."""
    assert page.colormap is not None  # else there was a hindrance
    palette_P3 = (page.colormap >> 8).astype(np.uint8).T
    return palette_P3[places_HW.astype(np.intp)]


def _divided(colours_HWC: NDArray[Any], alpha_HW1: NDArray[Any], full: int | None) -> NDArray[Any]:
    """Colours before they were multiplied by alpha; where that is 0 they stay."""
    if full is None:
        shares_HWC: NDArray[np.float64] = np.divide(
            colours_HWC, alpha_HW1, out=colours_HWC.astype(np.float64), where=alpha_HW1 > 0
        )
        return shares_HWC.clip(max=1)
    alpha_HW1 = np.where(alpha_HW1 == 0, full, alpha_HW1).astype(np.uint64)
    divided_HWC: NDArray[np.uint64] = colours_HWC.astype(np.uint64) * np.uint64(full) // alpha_HW1
    return divided_HWC.clip(max=full)
