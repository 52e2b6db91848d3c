"""The one place that decodes images."""

import errno
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

from unchoke.codestreams import pixels_alone, size_of
from unchoke.errors import UnchokeError
from unchoke.regular_files import read_regular

# Our own limit, checked for every image before its pixels are read, stands in for Pillow's process-wide one.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with a file becomes a reason; Pillow's remarks on odd ones would fill the logs.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
"""What is read, by content: Pillow's other formats start programs, or take any memory for a small file."""

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF begins: little- or big-endian, classic or BigTIFF."""

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_FAULTS_OF_THE_FILE = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
    errno.EFBIG,
)


class UnreadableImageError(Exception):
    """Why a file gave no pixels; the reason names no folder of the machine."""


def unreadable(error: UnchokeError) -> UnreadableImageError:
    """For the images of one array or shard, what an error says of it in its first line, which names no folder."""
    return UnreadableImageError(_in_small_letters(str(error).splitlines()[0].rstrip(".")))


@contextmanager
def faults_of_the_file() -> Iterator[None]:
    """Within it an OSError raises UnreadableImageError where the file is at fault.

    A machine at fault (no file handles left, an I/O error) raises its OSError: it must fail the job, not brand the
    image.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FAULTS_OF_THE_FILE:
            raise
        raise UnreadableImageError(_in_small_letters(error.strerror or "cannot be opened")) from None


def _in_small_letters(reason: str) -> str:
    return reason[0].lower() + reason[1:]


def read_image_file(path: Path) -> bytes:
    """The bytes of a regular file of ``regular_files.MOST_BYTES`` at most; errors as in ``faults_of_the_file``."""
    with faults_of_the_file():
        data = read_regular(path)
    if not data:
        raise UnreadableImageError("empty file")
    return data


def picture_of(data: bytes | NDArray[np.uint8], *, max_pixels: int, draft_px: int | None = None) -> Image.Image:
    """Upright RGB picture of what a source's reader gave: as ``decode_image`` makes it of a file, or the pixels, uint8
    (H, W, 3), as they are.

    Raises UnreadableImageError with the reason.
    """
    if isinstance(data, bytes):
        return decode_image(data, max_pixels=max_pixels, draft_px=draft_px)
    return Image.fromarray(pixels_of(data, max_pixels=max_pixels))


def pixels_of(data: bytes | NDArray[np.uint8], *, max_pixels: int) -> NDArray[np.uint8]:
    """The same as an array, uint8 (H, W, 3)."""
    if isinstance(data, bytes):
        return np.asarray(decode_image(data, max_pixels=max_pixels))
    check_size(data.shape[1], data.shape[0], max_pixels)
    return data


def check_size(width: int, height: int, max_pixels: int) -> None:
    """UnreadableImageError where a picture has more pixels than ``decoding.max_pixels``."""
    if width * height > max_pixels:
        raise UnreadableImageError(f"{width} × {height} px, above decoding.max_pixels {max_pixels}")


def decode_image(data: bytes, *, max_pixels: int, draft_px: int | None = None) -> Image.Image:
    """Upright RGB picture, 8 bits a channel, from the bytes of an image file; of an animation the first frame.

    EXIF orientation is applied. Alpha is dropped, as torchvision's ImageFolder does. 16-bit grey is divided by 257.
    max_pixels: width × height above which nothing is decoded.
    draft_px: let the JPEG decoder scale down, by 2, 4 or 8, while both sides keep this many px; None: never.
    Raises UnreadableImageError with the reason.
    """
    with naming_the_fault():
        if data[:4] in TIFF_SIGNATURES:
            from unchoke.tiff_pictures import decode_tiff  # its library takes longer to import than Pillow

            return decode_tiff(data, max_pixels)
        with open_picture(data, max_pixels) as image:
            if draft_px is not None:
                image.draft(image.mode, (draft_px, draft_px))
            image.load()
            return upright_picture(image)


def open_picture(data: bytes, max_pixels: int) -> Image.Image:
    """An image file as Pillow opens it, without its metadata, before its pixels are read.

    Raises UnreadableImageError where it has more than max_pixels or is of another format than ``FORMATS``, and what
    Pillow raises.
    """
    if size := size_of(data):
        check_size(*size, max_pixels)
    try:
        image = Image.open(io.BytesIO(pixels_alone(data)), formats=FORMATS)
    except UnidentifiedImageError:
        if name := _other_format(data[:16]):
            raise UnreadableImageError(
                f"a picture of the format {name}, which is not read ({', '.join(FORMATS)} are)"
            ) from None
        raise
    check_size(*image.size, max_pixels)
    return image


def _other_format(head: bytes) -> str:
    """The format of Pillow's that a file begins like; empty where there is none, or it is one of ``FORMATS``."""
    Image.init()
    for name, (_, accepts) in Image.OPEN.items():
        with suppress(Exception):  # those of a head that is too short
            if accepts and accepts(head):
                return "" if name in FORMATS else name
    return ""


@contextmanager
def naming_the_fault() -> Iterator[None]:
    """Within it whatever a decoder raises becomes UnreadableImageError; a machine at fault raises its OSError."""
    try:
        with faults_of_the_file():
            yield
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError("not an image, or of a format that Pillow does not know") from None
    except MemoryError:
        raise UnreadableImageError("broken image: its decoder asks for more memory than there is") from None
    except Exception as error:  # decoders have exceptions of every kind, and the next version has others
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableImageError(f"broken image: {' '.join(str(error).split()) or type(error).__name__}") from None


def upright_picture(image: Image.Image) -> Image.Image:
    """A loaded picture of any mode as RGB, 8 bits a channel, turned as its EXIF orientation says.

    ValueError where its grey values have no known range.
    """
    return turned(_rgb(image), orientation_of(image))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image  # Pillow would copy it, and it may be large
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # a palette's transparency is understood on this way only
    return image.convert("RGB")


def eight_bits(values: NDArray[Any], full: int | None = None) -> NDArray[np.uint8]:
    """Integers from 0 to `full`, or floats from 0 to 1, as uint8; ValueError for other ranges.

    full: None: 255 of 8 bits, else 65535, also where more bits are stored.
    """
    if values.dtype == np.uint8 and full in (None, 255):
        return values
    if full is None or values.dtype.kind == "f":
        full = 1 if values.dtype.kind in "fb" else 255 if values.dtype.itemsize == 1 else 65535
    if values.dtype == np.float16:
        values = values.astype(np.float32)  # whose steps are finer than those of 8 bits
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= full):
        raise ValueError(f"grey values from {low} to {high}, where 0 to {full} was expected")
    return np.round(values * (255 / full)).astype(np.uint8)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of an opened image, 1 to 8; 1 where it says none."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """A picture as it is to be seen where EXIF has this orientation."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
