"""What decodes JPEG files, by the names of ``decoding.decoder``. Light: the Snakefile reads this module."""

from importlib.metadata import version
from importlib.util import find_spec

from unchoke.errors import UnchokeError

DECODERS = PILLOW, SIMPLEJPEG = ("pillow", "simplejpeg")
"""The second is a package of this name, too."""
INSTALL = "pip install 'unchoke[simplejpeg]'"


def check_installed(decoder: str) -> None:
    """UnchokeError where the package of a decoder is missing."""
    if decoder != PILLOW and find_spec(decoder) is None:
        raise UnchokeError(
            "The decoder is not installed.",
            found=f"decoding.decoder: {decoder}, and no package {decoder}",
            expected=f"the package, or decoding.decoder: {PILLOW}, which gives the same pixels",
            do=INSTALL,
        )


def decoder_release(decoder: str) -> dict[str, str]:
    """Name and release of a decoder for records; empty for Pillow, whose release they hold anyway."""
    return {decoder: version(decoder)} if decoder != PILLOW else {}
