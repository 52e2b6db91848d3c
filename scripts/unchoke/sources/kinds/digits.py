"""The demo: scikit-learn's 1,797 handwritten digits as PNG files, with a few flaws planted among them."""

import io
import os
from pathlib import Path
from typing import Any

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_atomic
from unchoke.hashing import sha256_json
from unchoke.sources.kinds import folder
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing

RECORD = "digits.json"
DUPLICATED = (0, 100, 1000)  # digits that stand in their class twice
MTIME_NS = 946_684_800_000_000_000  # 2000-01-01, so that writing them anew changes nothing downstream


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The digits by class, as ``write_digits`` left them."""
    return folder.list_images(path, group)


def prerequisites(path: Path) -> list[Path]:
    """The record that ``write_digits`` writes last."""
    return [path / RECORD]


def recipe_digest() -> str:
    """Stands for the listing, which the recipe settles before there are any files."""
    return sha256_json({"digits": versions.DIGITS})


def write_digits(path: Path) -> None:
    """Write the digits to ``<path>/<class>/<number>.png``, 8 × 8 px, with planted flaws, and a record of them.

    Planted: three exact duplicates, one blank image, one file cut short, one that is no image. The images are
    the same each time, their times too. UnchokeError where `path` holds other things.
    """
    images = digit_files()
    planted = sorted(name for name in images if not Path(name).stem.isdigit())
    record = {"images": len(images), "planted": planted, "version": versions.DIGITS}
    write_demo("digits", path, images, RECORD, record)


def write_demo(what: str, path: Path, files: dict[str, bytes], record_name: str, record: dict[str, object]) -> None:
    """Write the files of a demo below `path`, the same times each time, and last the record of them.

    what: they are called so. UnchokeError where `path` holds other things.
    """
    present = {file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()}
    strangers = sorted(name for name in present - {record_name, *files} if not Path(name).name.startswith("."))
    if strangers:
        raise UnchokeError(
            f"The folder for the demo's {what} holds other things.",
            found=", ".join(strangers[:5]),
            expected=f"no folder, an empty one, or the {what}",
            where=str(path),
            do="choose another dataset.path, or another dataset.kind for images of your own",
        )
    for name, data in files.items():
        write_atomic(path / name, data, sync=False)
        os.utime(path / name, ns=(MTIME_NS, MTIME_NS))
    write_atomic(path / record_name, json_bytes(record))


def digit_files() -> dict[str, bytes]:
    """Name and content of every file of the demo."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey_NHW = np.round(digits.images * (255 / 16)).astype(np.uint8)
    names = [f"{label}/{number:04d}.png" for number, label in enumerate(digits.target)]
    files = {name: png_bytes(grey_HW) for name, grey_HW in zip(names, grey_NHW, strict=True)}
    for number in DUPLICATED:
        files[names[number].replace(".png", "-copy.png")] = files[names[number]]
    files["8/blank.png"] = png_bytes(np.zeros((8, 8), np.uint8))
    files["3/cut-short.png"] = files[names[3]][:60]
    files["7/no-image.png"] = b"This is text that somebody saved as a picture.\n"
    return files


def png_bytes(pixels: Any) -> bytes:
    """A PNG file of a uint8 array, (H, W) grey or (H, W, 3) RGB."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
