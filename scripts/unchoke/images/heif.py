"""HEIC, HEIF and AVIF, which are read where the package pillow-heif is installed (`pip install 'unchoke[heif]'`).

Light: the Snakefile reads this module, which imports Pillow's plugin only for the first such picture.
"""

import struct
from functools import cache
from importlib.util import find_spec

ENDINGS = (".heic", ".heif", ".hif", ".avif")
FORMATS = ("HEIF", "AVIF")
"""As Pillow calls them."""
INSTALL = "pip install 'unchoke[heif]'"
HEIF_BYTES = 10
"""Of a pixel while it is decoded; 8.5 were measured."""
_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"}


@cache
def is_readable() -> bool:
    """Whether the package is installed."""
    return find_spec("pillow_heif") is not None


def is_heif(data: bytes) -> bool:
    """Whether data begin as such a picture does; ISO/IEC 14496-12, 4.3."""
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height, px, of the largest picture that the properties name (`ispe`, ISO/IEC 23008-12, 6.5.3).

    Tiles have their own entries beside that of the whole. The decoder refuses a picture that is larger than its entry.
    None where there is no entry.
    """
    sizes, place = [], data.find(b"ispe")
    while place >= 0:
        if place + 16 <= len(data):
            sizes.append(struct.unpack_from(">II", data, place + 8))
        place = data.find(b"ispe", place + 4)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


@cache
def register() -> None:
    """Let Pillow open such pictures, if the package is installed."""
    if is_readable():
        import pillow_heif

        pillow_heif.register_heif_opener()
