"""JPEG by simplejpeg, which opens a file faster than Pillow does. Both use libjpeg-turbo and give the same pixels."""

import io
from functools import cache
from importlib.metadata import version
from itertools import product

import numpy as np
from PIL import Image

from unchoke.errors import UnchokeError
from unchoke.images.codestreams import common_jpeg_size, jpeg_metadata
from unchoke.images.decoders import PILLOW, SIMPLEJPEG, check_installed
from unchoke.images.upright import Stored, orientation_of

MOST_PX = 2**20
"""Pixels up to which a picture is decoded by simplejpeg. Above, Pillow is as fast, and needs no second copy."""
_LEAST_SCALED_PX = 16
"""Shorter side from which each factor gives another size."""
_FACTORS = (8, 4, 2, 1)
_SAMPLE_PX = (72, 56)


@cache
def check_decoder(decoder: str) -> None:
    """UnchokeError where a decoder is missing, or its pixels are not those of Pillow; tried once a process."""
    check_installed(decoder)
    if decoder == PILLOW:
        return
    for data, factor in product(_samples(), _FACTORS):
        draft_px = min(_SAMPLE_PX) // factor
        stored = decode_jpeg(data, draft_px)
        with Image.open(io.BytesIO(data)) as image:
            image.draft(image.mode, (draft_px, draft_px))
            expected_HW3 = np.asarray(image.convert("RGB"))
        if stored is None or not np.array_equal(np.asarray(stored.picture()), expected_HW3):
            raise UnchokeError(
                "Two decoders make different pixels of the same JPEG.",
                found=f"{SIMPLEJPEG} {version(SIMPLEJPEG)} and Pillow {version('pillow')}, scaled down by {factor}",
                expected="the same pixels, so that features do not depend on the decoder",
                do=f"set decoding.decoder: {PILLOW}, or install both from the same channel",
            )


def _samples() -> list[bytes]:
    """Small pictures of every common kind, with steep and flat parts."""
    x, y = np.meshgrid(*(np.arange(side) for side in _SAMPLE_PX))
    pixels_HW3 = np.stack([x * y % 256, (x + y) ** 2 // 64 % 256, np.where(x > y, 200, 3 * y)], 2).astype(np.uint8)
    whole = Image.fromarray(pixels_HW3)
    kinds = [(whole, {"subsampling": kind, "progressive": kind == 1}) for kind in range(3)]
    found = []
    for image, options in [*kinds, (whole.convert("L"), {})]:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85, **options)
        found.append(buffer.getvalue())
    return found


def decode_jpeg(data: bytes, draft_px: int | None) -> Stored | None:
    """What Pillow makes of a JPEG, if it has 8 bits and 1 or 3 components, and simplejpeg finds no fault in it.

    draft_px: as of ``images.decode.decode_image``. None where Pillow is to decode: other kinds, more than MOST_PX
    pixels, and files whose faults Pillow passes over or names.
    """
    import simplejpeg

    size = common_jpeg_size(data)
    if size is None:
        return None
    factor = 1 if draft_px is None else draft_factor(size, draft_px)
    width, height = (-(-side // factor) for side in size)
    if width * height > MOST_PX or (factor > 1 and min(size) < _LEAST_SCALED_PX):
        return None
    # Of all factors down to 1/8 it takes the one that gives the least size from these on. 0: as it is.
    least = {"min_height": height, "min_width": width} if factor > 1 else {}
    try:
        pixels_HW3 = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, **least)
    except ValueError:
        return None
    return Stored(pixels_HW3, orientation_in(data))


def draft_factor(size: tuple[int, int], draft_px: int) -> int:
    """By how much Pillow's draft mode scales down, 1, 2, 4 or 8: both sides keep draft_px where they have it."""
    times = min(size) // draft_px
    return next((factor for factor in _FACTORS if times >= factor), 1)


def orientation_in(data: bytes) -> int:
    """EXIF orientation of a JPEG as Pillow reads it, which a picture of one pixel is asked for."""
    metadata = jpeg_metadata(data)
    if not metadata:
        return 1
    image = Image.new("1", (1, 1))
    image.info.update(metadata)
    return orientation_of(image)
