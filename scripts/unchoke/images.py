"""The one place that decodes images."""

import errno
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose

# Our own limit, checked for every image before its pixels are read, stands in for Pillow's process-wide one.
Image.MAX_IMAGE_PIXELS = None

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
)


class UnreadableImageError(Exception):
    """Why a file gave no pixels; the reason names no folder of the machine."""


def read_image_file(path: Path) -> bytes:
    """The bytes of an image file.

    Raises UnreadableImageError where the file is at fault. A machine at fault (no file handles left, an I/O error)
    raises its OSError: it must fail the job, not brand the image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        if error.errno not in _FAULTS_OF_THE_FILE:
            raise
        raise UnreadableImageError((error.strerror or "cannot be opened").lower()) from None
    if not data:
        raise UnreadableImageError("empty file")
    return data


def decode_image(data: bytes, *, max_pixels: int, draft_px: int | None = None) -> Image.Image:
    """Upright RGB picture, 8 bits a channel, from the bytes of an image file; of an animation the first frame.

    EXIF orientation is applied. Alpha is dropped, as torchvision's ImageFolder does. 16-bit grey is divided by 257.
    max_pixels: width × height above which nothing is decoded.
    draft_px: let the JPEG decoder scale down, by 2, 4 or 8, while both sides keep this many px; None: never.
    Raises UnreadableImageError with the reason.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise UnreadableImageError(f"{width} × {height} px, above decoding.max_pixels {max_pixels}")
            if draft_px is not None:
                image.draft(image.mode, (draft_px, draft_px))
            image.load()
            return _upright(_rgb(image), _orientation(image))
    except UnidentifiedImageError:
        raise UnreadableImageError("not an image, or of a format that Pillow does not know") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error) as error:
        raise UnreadableImageError(f"broken image: {' '.join(str(error).split()) or type(error).__name__}") from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # a palette's transparency is understood on this way only
    return image.convert("RGB")


def _eight_bits(grey_HW: np.ndarray) -> np.ndarray:
    """Grey of 16-bit integers, or of floats from 0 to 1, as uint8; ValueError for other ranges."""
    low, high = grey_HW.min(), grey_HW.max()
    full = 1 if grey_HW.dtype.kind == "f" else 65535
    if not (low >= 0 and high <= full):
        raise ValueError(f"grey values from {low} to {high}, where 0 to {full} was expected")
    return np.round(grey_HW * (255 / full)).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except (OSError, SyntaxError, ValueError, TypeError, struct.error):
        return 1  # a damaged EXIF block says nothing about the pixels


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
