"""How image files become pixels."""

from typing import Literal

from pydantic import Field

from unchoke.config.base import MAX_THREADS, Section
from unchoke.names import MAX_PIXELS


class Decoding(Section):
    """How image files become pixels."""

    input: Literal["files", "pixels"] = "files"
    """`pixels`: of several encoders with one `image_size`, pictures are decoded and resized once, and kept as a store
    of pixels (uint8, 3 × height × width bytes an image) that all of them read. Features keep their bytes. Pixels that
    a network needs are read either way."""

    threads: int = Field(8, ge=1, le=MAX_THREADS)
    """CPU threads of one chunk job, for decoding and for an encoder on the CPU; never more than `--cores`."""

    max_pixels: int = Field(MAX_PIXELS, ge=1, le=2**32)
    """Pixels (width × height) above which a file is refused unread, against decompression bombs. Also refused is what
    takes more memory to decode than so many pixels in RGB, at 4 bytes each: WebP takes 17 bytes a pixel, progressive
    JPEG up to 12, TIFF in one compressed strip twice the strip."""

    jpeg_draft: bool = False
    """Let the JPEG decoder scale a picture down by 2, 4 or 8 while it stays at least twice as large as needed: several
    times faster on photographs, at slightly different pixels."""

    decoder: Literal["pillow", "simplejpeg"] = "pillow"
    """What decodes the JPEG files of whole images. `simplejpeg` (`pip install 'unchoke[simplejpeg]'`) opens a file
    faster and gives the same pixels, so that features keep their bytes: small photographs gain most. Other formats,
    CMYK, 12 bits, pictures above 1 MP that are not scaled down, and files with faults are decoded by Pillow."""
