"""The one place that reads parts of images and of their masks."""

import io
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from tifffile import TiffPage

from unchoke.errors import UnreadableImageError
from unchoke.images import tiff_windows
from unchoke.images.codestreams import is_webp, size_of, webp_metadata
from unchoke.images.decode import (
    PLAIN_HEADERS,
    TIFF_SIGNATURES,
    check_size,
    decode_image,
    naming_the_fault,
    open_picture,
    read_image_file,
)
from unchoke.images.tiff_pictures import Convert, rgb_of, turned_array, whole_page
from unchoke.images.upright import orientation_of, turned
from unchoke.names import IGNORED
from unchoke.regular_files import MOST_BYTES, open_regular

_PNG_STEPS = {"L;2": 85, "L;4": 17}  # factors by which Pillow scales grey of few bits
_EXIF_KEYS = {"exif", "Raw profile type exif"}
_BLOCKS_THAT_TURN = {b"eXIf", b"iTXt", b"tEXt", b"zTXt"}
_ANY_PX = 2**62  # no limit where only the header is read
_KEPT = 2  # pictures: most patches of a chunk are of one, in order

_opening = threading.Lock()  # so that threads decode a shared picture once


@dataclass(frozen=True)
class Windows:
    """An image or a mask that is read in windows, also by several threads."""

    height: int
    """px."""
    width: int
    """px."""
    samples: tiff_windows.Reader
    convert: Convert
    """From stored samples to the result of `read`."""

    def read(self, y0: int, x0: int, height: int, width: int) -> NDArray[Any]:
        """The window that lies inside: uint8 (height, width, 3) of an image, whole numbers (height, width) of a mask.

        y0, x0, height, width: px. Raises UnreadableImageError where this part of the file is broken.
        """
        with naming_the_fault():
            return self.convert(self.samples(y0, x0, height, width))


def open_image(path: Path, max_pixels: int) -> Windows:
    """An image in RGB, upright, 8 bits a channel, as ``images.decode.decode_image`` has it.

    TIFF is read tile by tile or strip by strip, whatever its size. All other formats, and TIFF of uncommon kinds, are
    decoded whole, up to max_pixels (width × height); the last two pictures stay in memory.
    Raises UnreadableImageError with the reason, as ``images.decode.read_image_file`` does.
    """
    return _open(_image, path, max_pixels)


def open_mask(path: Path, max_pixels: int) -> Windows:
    """A mask in the numbers that its file holds: of a palette the indices, of RGB 0xRRGGBB as int32, alpha dropped.

    Read as ``open_image`` reads an image; turned where it has an EXIF orientation. Of TIFF the numbers as they are
    stored, also where 0 is shown as white.
    Raises UnreadableImageError with the reason.
    """
    return _open(_mask, path, max_pixels)


def _open(kept: Callable[[Path, int, int, int], Windows], path: Path, max_pixels: int) -> Windows:
    with naming_the_fault():
        stat = path.stat()
        with _opening:
            return kept(path.absolute(), stat.st_size, stat.st_mtime_ns, max_pixels)  # commands have several folders


@lru_cache(_KEPT)
def _image(path: Path, size_bytes: int, mtime_ns: int, max_pixels: int) -> Windows:
    def decode(data: bytes) -> NDArray[np.uint8]:
        return np.asarray(decode_image(data, max_pixels=max_pixels))

    return _windows(path, max_pixels, decode, rgb_of, mask=False)


def forget_pictures() -> None:
    """Drop the pictures in memory, so that the next window is read from its file."""
    _image.cache_clear()


@lru_cache(_KEPT)
def _mask(path: Path, size_bytes: int, mtime_ns: int, max_pixels: int) -> Windows:
    def decode(data: bytes) -> NDArray[Any]:
        return _decode_mask(data, max_pixels)

    return _windows(path, max_pixels, decode, lambda page: _numbers, mask=True)


def _windows(
    path: Path,
    max_pixels: int,
    decode: Callable[[bytes], NDArray[Any]],
    convert_of: Callable[[TiffPage], Convert],
    *,
    mask: bool,
) -> Windows:
    """Windows of a TIFF that can be read in them, else of the whole picture in memory."""
    if not _is_tiff(path):
        return _whole(decode(read_image_file(path)))
    page = tiff_windows.first_page(path)
    reason = tiff_windows.hindrance(page, max_pixels, mask=mask)
    if tiff_windows.orientation_of(page) != 1:
        reason = reason or f"orientation {tiff_windows.orientation_of(page)}"
    if not reason:
        return Windows(*tiff_windows.page_size(page), tiff_windows.reader_of(path, page), convert_of(page))
    try:
        return _whole(decode(read_image_file(path)))
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{error} (TIFF with {reason} is not read in windows)") from None


def _whole(pixels_HWx: NDArray[Any]) -> Windows:
    height, width = pixels_HWx.shape[:2]
    return Windows(height, width, lambda y0, x0, h, w: pixels_HWx[y0 : y0 + h, x0 : x0 + w], lambda window: window)


def _is_tiff(path: Path) -> bool:
    with open_regular(path) as file:
        if not (head := file.read(4)):
            raise UnreadableImageError("empty file")
        return head in TIFF_SIGNATURES


def _numbers(samples_HWC: NDArray[Any]) -> NDArray[Any]:
    """Grey or indices as they are, RGB as 0xRRGGBB; alpha behind them is dropped."""
    if samples_HWC.shape[2] < 3:
        return samples_HWC[..., 0]
    red_HW, green_HW, blue_HW = np.moveaxis(samples_HWC[..., :3].astype(np.int32), -1, 0)
    colour_HW: NDArray[np.int32] = red_HW << 16 | green_HW << 8 | blue_HW
    return colour_HW


def _decode_mask(data: bytes, max_pixels: int) -> NDArray[Any]:
    """The numbers of a mask (H, W), upright, from the bytes of its file."""
    if data[:4] not in TIFF_SIGNATURES:
        with open_picture(data, max_pixels) as image:
            return _numbers_of(image)
    page = tiff_windows.first_page(data)
    check_size(page.imagewidth, page.imagelength, max_pixels)
    if not (reason := tiff_windows.hindrance(page, max_pixels, mask=True)):
        return turned_array(whole_page(data, page, _numbers), tiff_windows.orientation_of(page))
    if not tiff_windows.is_for_libtiff(page, max_pixels):
        raise UnreadableImageError(f"a mask in TIFF with {reason}, where whole numbers or RGB colours were expected")
    with open_picture(data, max_pixels) as image:
        return _numbers_of(image)


def _numbers_of(image: Image.Image) -> NDArray[Any]:
    """The numbers of a mask that Pillow has opened."""
    step = _PNG_STEPS.get(str(image.tile[0][3]), 1) if isinstance(image, PngImageFile) else 1
    image.load()
    samples = np.atleast_3d(np.asarray(turned(image, orientation_of(image))))
    if samples.dtype.kind not in "biu" or image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        raise UnreadableImageError(f"a mask in {image.mode}, where whole numbers or RGB colours were expected")
    return _numbers(samples) // step


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image or mask, px, upright, from what its file says of itself: no pixel is decoded.

    Raises UnreadableImageError with the reason.
    """
    with naming_the_fault():
        if _is_tiff(path):
            return tiff_windows.page_size(tiff_windows.first_page(path))
        if (data := _animation(path)) and (size := size_of(data)):
            return _upright_size(data, *size)
        with _opened(path) as image:
            if image.format == "PNG" and _EXIF_KEYS.isdisjoint(image.info) and not _may_turn_late(path):
                image.info["exif"] = b""  # else Pillow decodes the pixels to look behind them
            on_its_side = orientation_of(image) >= 5
            return (image.width, image.height) if on_its_side else (image.height, image.width)


def _animation(path: Path) -> bytes:
    """A GIF or WebP, which Pillow cannot open without memory for its pixels; empty where the file is none."""
    with open_regular(path) as file:
        head = file.read(12)
    return read_image_file(path) if head.startswith(b"GIF8") or is_webp(head) else b""


def _upright_size(data: bytes, width: int, height: int) -> tuple[int, int]:
    """Height and width of a GIF, which is never turned, or of a WebP."""
    holder = Image.new("1", (1, 1))
    if is_webp(data):
        holder.info.update(webp_metadata(data))
    return (width, height) if orientation_of(holder) >= 5 else (height, width)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image of which no more than the header is read, where that is enough and safe."""
    with open_regular(path, MOST_BYTES) as file:
        try:
            image: Image.Image = Image.open(file, formats=PLAIN_HEADERS)
        except Exception as error:  # metadata that Pillow does not read, or another format
            if isinstance(error, OSError) and error.errno is not None:
                raise
            image = open_picture(read_image_file(path), _ANY_PX)
        with image:
            yield image


def _may_turn_late(path: Path) -> bool:
    """Whether a PNG has blocks behind its pixels that may turn it."""
    kinds: list[bytes] = []
    with open_regular(path, MOST_BYTES) as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and kinds[-1:] != [b"IEND"]:
            length, kind = struct.unpack(">I4s", head)
            kinds.append(kind)
            file.seek(length + 4, io.SEEK_CUR)
    behind = kinds[kinds.index(b"IDAT") :] if b"IDAT" in kinds else []
    return not _BLOCKS_THAT_TURN.isdisjoint(behind)


def read_patch(windows: Windows, y0: int, x0: int, size: int) -> NDArray[Any]:
    """A patch (size, size) or (size, size, 3), the image reflected beyond its border; y0, x0, size: px.

    Only the visible part of the image is read. Raises UnreadableImageError as ``Windows.read``.
    """
    rows_S, columns_S = reflected(y0, y0 + size, windows.height), reflected(x0, x0 + size, windows.width)
    top, left = int(rows_S.min()), int(columns_S.min())
    window = windows.read(top, left, int(rows_S.max()) - top + 1, int(columns_S.max()) - left + 1)
    return window[np.ix_(rows_S - top, columns_S - left)]


def reflected(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Where positions `start` to `stop` (excluded) of an axis of `length` px take their values: each 0 to length - 1.

    As ``numpy.pad(mode="reflect")`` has it: to and fro, the border pixel not doubled; a single pixel is repeated.
    """
    last = length - 1
    if last == 0:
        return np.zeros(stop - start, np.intp)
    return last - np.abs(np.arange(start, stop, dtype=np.intp) % (2 * last) - last)


def read_labels(
    mask: Windows, y0: int, x0: int, size: int, classes: dict[str, list[int]], ignore: int | None
) -> NDArray[np.uint8]:
    """The labels (size, size) of a patch whose upper left pixel lies inside, IGNORED outside of the image.

    Raises UnreadableImageError as ``Windows.read`` and ``labels_of``.
    """
    labels_SS = np.full((size, size), IGNORED, np.uint8)
    height, width = min(size, mask.height - y0), min(size, mask.width - x0)
    labels_SS[:height, :width] = labels_of(mask.read(y0, x0, height, width), classes, ignore)
    return labels_SS


def labels_of(values_HW: NDArray[Any], classes: dict[str, list[int]], ignore: int | None) -> NDArray[np.uint8]:
    """Class index of every pixel; IGNORED where the value is `ignore`.

    values_HW: whole numbers. classes: the values of each, none of them in two.
    Raises UnreadableImageError with the most common value that no class has.
    """
    place_of = {value: place for place, values in enumerate(classes.values()) for value in values}
    if ignore is not None:
        place_of[ignore] = IGNORED
    known_V = np.array(sorted(place_of), np.int64)
    wanted_HW = values_HW.astype(np.int64)
    nearest_HW = np.minimum(np.searchsorted(known_V, wanted_HW), len(known_V) - 1)
    if len(strange := wanted_HW[known_V[nearest_HW] != wanted_HW]):
        values, counts = np.unique(strange, return_counts=True)
        count = counts.max()
        pixels = "1 pixel" if count == 1 else f"{count} pixels"
        raise UnreadableImageError(f"mask has the value {values[counts.argmax()]} in {pixels}, which no class has")
    return np.array([place_of[value] for value in known_V.tolist()], np.uint8)[nearest_HW]
