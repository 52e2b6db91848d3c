"""The one place that decodes images."""

import errno
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images import heif
from unchoke.images.codestreams import RGB_BYTES, decoder_bytes, most_bytes, pixels_alone, size_of
from unchoke.images.decoders import PILLOW, SIMPLEJPEG
from unchoke.images.jpegs import decode_jpeg
from unchoke.images.upright import Stored, orientation_of
from unchoke.regular_files import read_regular

# Our own limit, checked before the pixels of each image are read, replaces Pillow's process-wide one.
Image.MAX_IMAGE_PIXELS = None
# A fault of a file becomes its reason. Pillow's warnings about odd files would fill the logs.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
"""Formats that are read, recognised by content. Pillow's others start programs, or take any memory for a small file.
Those of ``heif`` come beside them where their package is installed."""

PLAIN_HEADERS = ("PNG", "JPEG", "BMP")
"""Formats whose headers Pillow opens with little memory."""

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF begins: little- or big-endian, classic or BigTIFF."""

LONGEST_PX = 2**17
"""Longest side of a picture decoded whole, since data for each row or column takes memory too."""

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


class NoRoomError(MemoryError):
    """The system has no memory for a picture within the limits: a fault of the machine, not of the file."""


def unreadable(error: UnchokeError) -> UnreadableImageError:
    """The first line of an error about an array or shard, which names no folder, as the reason for its images."""
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


def picture_of(
    data: bytes | NDArray[np.uint8], *, max_pixels: int, draft_px: int | None = None, decoder: str = PILLOW
) -> Image.Image:
    """Upright RGB picture of what a source's reader gave: as ``decode_image`` makes it of a file, or the pixels, uint8
    (H, W, 3), as they are.

    Raises UnreadableImageError with the reason.
    """
    if isinstance(data, bytes):
        return decode_image(data, max_pixels=max_pixels, draft_px=draft_px, decoder=decoder)
    return Image.fromarray(pixels_of(data, max_pixels=max_pixels))


def pixels_of(data: bytes | NDArray[np.uint8], *, max_pixels: int) -> NDArray[np.uint8]:
    """The same as an array, uint8 (H, W, 3)."""
    if isinstance(data, bytes):
        return np.asarray(decode_image(data, max_pixels=max_pixels))
    check_size(data.shape[1], data.shape[0], max_pixels)
    return data


def check_size(width: int, height: int, max_pixels: int) -> None:
    """UnreadableImageError where a picture has more pixels than ``decoding.max_pixels``, or a side above LONGEST_PX."""
    if width * height > max_pixels:
        raise UnreadableImageError(f"{width} × {height} px, above decoding.max_pixels {max_pixels}")
    if max(width, height) > LONGEST_PX:
        raise UnreadableImageError(f"{width} × {height} px, a side above {LONGEST_PX} px")


def check_memory(width: int, height: int, max_pixels: int, kind: str, pixel_bytes: float) -> None:
    """UnreadableImageError where a decoder takes more than a picture of ``decoding.max_pixels`` in RGB.

    kind: of picture. pixel_bytes: what its decoder takes for a pixel.
    """
    if width * height * pixel_bytes > most_bytes(max_pixels):
        raise UnreadableImageError(
            f"{width} × {height} px in {kind}, which takes {pixel_bytes:g} bytes a pixel to decode: more than "
            f"{RGB_BYTES} × decoding.max_pixels {max_pixels}"
        )


def decode_image(data: bytes, *, max_pixels: int, draft_px: int | None = None, decoder: str = PILLOW) -> Image.Image:
    """Upright RGB picture, 8 bits a channel, from the bytes of an image file; of an animation the first frame.

    EXIF orientation is applied. Alpha is dropped, as torchvision's ImageFolder does. 16-bit grey is divided by 257.
    max_pixels: width × height above which nothing is decoded.
    draft_px: let the JPEG decoder scale down, by 2, 4 or 8, while both sides keep this many px; None: never.
    decoder: of JPEG, one of ``decoders.DECODERS``; pixels and reasons are the same. See ``jpegs.check_decoder``.
    Raises UnreadableImageError with the reason.
    """
    with naming_the_fault(data):
        return _decode(data, max_pixels, draft_px, decoder).picture()


def decode_stored(data: bytes, *, max_pixels: int) -> Stored:
    """The same, for pictures so large that RGB shall not be made of all of it at once."""
    with naming_the_fault(data):
        stored = _decode(data, max_pixels, None)
        stored.rows(0, 1)  # what cannot be turned into RGB is known now
        return stored


def _decode(data: bytes, max_pixels: int, draft_px: int | None, decoder: str = PILLOW) -> Stored:
    if data[:4] in TIFF_SIGNATURES:
        from unchoke.images.tiff_pictures import decode_tiff  # its library takes longer to import than Pillow

        return decode_tiff(data, max_pixels)
    if decoder == SIMPLEJPEG:
        _check_header(data, max_pixels)
        if stored := decode_jpeg(data, draft_px):
            return stored
    with open_picture(data, max_pixels) as image:
        if draft_px is not None:
            image.draft(image.mode, (draft_px, draft_px))
        image.load()
        return Stored(image, orientation_of(image))


def open_picture(data: bytes, max_pixels: int) -> Image.Image:
    """An image file as Pillow opens it, without its metadata, before its pixels are read.

    Raises UnreadableImageError where it has more than max_pixels, its decoder would take more memory than one of so
    many in RGB, or it is of another format than ``FORMATS``; and what Pillow raises.
    """
    if heif.is_heif(data):
        return _open_heif(data, max_pixels)
    _check_header(data, max_pixels)
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


def _check_header(data: bytes, max_pixels: int) -> None:
    """What ``check_size`` and ``check_memory`` say of the size that a header gives."""
    if size := size_of(data):
        check_size(*size, max_pixels)
        check_memory(*size, max_pixels, *decoder_bytes(data))


def _open_heif(data: bytes, max_pixels: int) -> Image.Image:
    """``open_picture`` for a HEIC or AVIF; UnreadableImageError where their package is missing."""
    if not heif.is_readable():
        raise UnreadableImageError(f"a HEIC or AVIF picture, which is read after {heif.INSTALL}")
    if size := heif.size_of(data):
        check_size(*size, max_pixels)
        check_memory(*size, max_pixels, "HEIC or AVIF", heif.HEIF_BYTES)
    heif.register()
    image = Image.open(io.BytesIO(data), formats=heif.FORMATS)
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
def naming_the_fault(data: bytes = b"") -> Iterator[None]:
    """Within it whatever a decoder raises becomes UnreadableImageError.

    A machine at fault raises its OSError, or NoRoomError where it has no memory for the picture that `data` is.
    """
    try:
        with faults_of_the_file():
            yield
    except (UnreadableImageError, NoRoomError):
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError("not an image, or of a format that Pillow does not know") from None
    except MemoryError as error:
        if not _has_room_for(data):
            raise NoRoomError(str(error)) from error
        raise UnreadableImageError("broken image: its decoder asks for more memory than there is") from None
    except Exception as error:  # decoders have exceptions of every kind, and the next version has others
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableImageError(f"broken image: {' '.join(str(error).split()) or type(error).__name__}") from None


def _has_room_for(data: bytes) -> bool:
    """Whether the system would give what a sound picture of this size takes, in its own colours and in RGB."""
    size = size_of(data)
    with suppress(Exception):
        size = size or Image.open(io.BytesIO(data), formats=PLAIN_HEADERS).size
    with suppress(MemoryError):
        np.empty(2 * RGB_BYTES * (size[0] * size[1] if size else 0), np.uint8)
        return True
    return False
