"""What a user may hand in as a picture: the path of an image file, a PIL image, or an array."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unchoke.errors import UnreadableImageError
from unchoke.images.decode import NoRoomError, check_size, decode_image, read_image_file
from unchoke.images.upright import upright_picture

Readable = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]
"""A path, a PIL image, or a uint8 array (H, W, 3)."""

_loading = threading.Lock()  # a PIL image reads its file when it is first looked at, and may be given twice


def several(pictures: Readable | Iterable[Readable]) -> list[Readable]:
    """A list of pictures, of one where one is given; an array (N, H, W, 3) is N."""
    if isinstance(pictures, np.ndarray):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    return [pictures] if isinstance(pictures, str | os.PathLike | Image.Image) else list(pictures)


def name_of(picture: Any) -> str:
    """The path of a picture, or the type of what it is."""
    return str(os.fspath(picture)) if isinstance(picture, str | os.PathLike) else type(picture).__name__


def read_picture(picture: Any, *, max_pixels: int, draft_px: int | None = None) -> Image.Image:
    """Upright RGB picture, as ``images.decode.decode_image`` makes it of a file; draft_px is for paths alone.

    Raises UnreadableImageError with the reason, whatever it was handed; NoRoomError as
    ``images.decode.naming_the_fault``.
    """
    try:
        if isinstance(picture, str | os.PathLike):
            return decode_image(read_image_file(Path(picture)), max_pixels=max_pixels, draft_px=draft_px)
        image = _as_image(picture)
        check_size(*image.size, max_pixels)
        with _loading:
            image.load()
        return upright_picture(image)
    except (UnreadableImageError, NoRoomError):
        raise
    except OSError as error:
        raise UnreadableImageError(f"cannot be read: {error.strerror or error}") from None
    except Exception as error:  # decoders have exceptions of every kind
        raise UnreadableImageError(f"cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None


def _as_image(picture: Any) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    if not isinstance(picture, np.ndarray):
        raise UnreadableImageError(f"a {type(picture).__name__}, not a path, a PIL image or an array")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise UnreadableImageError(f"an array of {picture.dtype} {picture.shape}, not of uint8 (height, width, 3)")
    return Image.fromarray(picture)
