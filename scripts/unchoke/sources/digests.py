"""Digests of images as their source holds them: of the bytes of a file, or of the pixels of an array's row."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from unchoke.errors import UnreadableImageError
from unchoke.files import file_sha256
from unchoke.hashing import sha256_bytes
from unchoke.regular_files import check_regular
from unchoke.sources.source import Reader, open_images, reads_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_THREADS = 8
_AT_ONCE = 4096


def digest_of(data: "bytes | NDArray[np.uint8]") -> str:
    """SHA-256 of the bytes of a file, as ``sha256sum`` prints it, or of pixels with their shape."""
    return sha256_bytes(data if isinstance(data, bytes) else f"{data.shape}".encode() + data.tobytes())


def digest_of_file(path: Path) -> str:
    """The same of a regular file of any size; UnreadableImageError where the file is at fault."""
    from unchoke.images.decode import faults_of_the_file

    with faults_of_the_file():
        check_regular(path)
        return file_sha256(path)


def read_digests(kind: str, root: Path, paths: Sequence[str]) -> list[str]:
    """The digest of each image of a source, in order; empty where it cannot be read.

    paths: of the manifest, below `root`. Every image is read once, and none is decoded.
    """
    found: list[str] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(paths), _AT_ONCE):
            batch = paths[start : start + _AT_ONCE]
            if reads_files(kind):
                found += pool.map(_file, (root / path for path in batch))
            else:
                found += pool.map(_row, open_images(kind, root, batch))
    return found


def _file(path: Path) -> str:
    try:
        return digest_of_file(path)
    except UnreadableImageError:
        return ""


def _row(read: Reader) -> str:
    try:
        return digest_of(read())
    except UnreadableImageError:
        return ""
