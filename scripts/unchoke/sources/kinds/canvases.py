"""The demo of masks: handwritten digits on cluttered canvases, and which pixels are theirs."""

from pathlib import Path
from typing import TYPE_CHECKING

from unchoke import versions
from unchoke.hashing import sha256_json
from unchoke.sources.kinds import masks
from unchoke.sources.kinds.digits import png_bytes, write_demo
from unchoke.sources.kinds.masks import MaskFile
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECORD = "canvases.json"
SOUND = 24  # canvases without a flaw
HEIGHT, WIDTH = 512, 640  # px
SEED = 0
FAINT, BRIGHT = 130, 240  # grey levels between which digits and clutter lie alike


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The canvases, as ``write_canvases`` left them."""
    return masks.list_images(path, group)


def list_masks(path: Path, group: str | None = None) -> dict[str, MaskFile]:
    """Their masks, by the paths of the canvases."""
    return masks.list_masks(path, group)


def prerequisites(path: Path) -> list[Path]:
    """The record that ``write_canvases`` writes last."""
    return [path / RECORD]


def recipe_digest() -> str:
    """Stands for the listing, which the recipe settles before there are any files."""
    return sha256_json({"canvases": versions.CANVASES})


def write_canvases(path: Path) -> None:
    """Write grey canvases, 640 × 512 px, to ``<path>/images``, their masks to ``<path>/masks``, and a record of them.

    Masks are 0 for the background and 1 for digits. Of 26 canvases one has a mask of another size, and one is cut
    short. The files are the same each time, their times too. UnchokeError where `path` holds other things.
    """
    files = canvas_files()
    planted = sorted(name for name in files if not Path(name).stem.isdigit())
    record = {"files": len(files), "planted": planted, "version": versions.CANVASES}
    write_demo("canvases", path, files, RECORD, record)


def canvas_files() -> dict[str, bytes]:
    """Name and content of every file of the demo."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits_NHW = load_digits().images.astype(np.float32) / 16
    files = {}
    for number, name in enumerate([*(f"{number:03d}" for number in range(SOUND)), "cut-short", "other-size"]):
        grey_HW, mask_HW = draw_canvas(digits_NHW, np.random.default_rng([SEED, number]))
        files[f"images/{name}.png"], files[f"masks/{name}.png"] = png_bytes(grey_HW), png_bytes(mask_HW)
        if name == "cut-short":
            files["images/cut-short.png"] = files["images/cut-short.png"][:20_000]
        if name == "other-size":
            files["masks/other-size.png"] = png_bytes(mask_HW[::2, ::2])
    return files


def draw_canvas(
    digits_NHW: "NDArray[np.float32]", rng: "np.random.Generator"
) -> tuple["NDArray[np.uint8]", "NDArray[np.uint8]"]:
    """A canvas in grey, uint8 (HEIGHT, WIDTH), and its mask, 1 where the strokes of digits are more than half opaque.

    digits_NHW: strokes as opacities, 0 to 1.
    """
    import numpy as np

    grey_HW, mask_HW = clutter(rng), np.zeros((HEIGHT, WIDTH), np.uint8)
    for place, opacity_SS in _placed(digits_NHW, rng):
        grey_HW[place] += opacity_SS * (rng.uniform(FAINT, BRIGHT) - grey_HW[place])
        mask_HW[place] = opacity_SS > 0.5
    grey_HW += rng.normal(0, 8, grey_HW.shape)
    return np.clip(np.round(grey_HW), 0, 255).astype(np.uint8), mask_HW


def _placed(
    digits_NHW: "NDArray[np.float32]", rng: "np.random.Generator"
) -> list[tuple[tuple[slice, slice], "NDArray[np.float32]"]]:
    """6 to 12 digits that do not overlap: rows and columns of the canvas, and the opacities (S, S) there."""
    import numpy as np

    placed: list[tuple[tuple[slice, slice], NDArray[np.float32]]] = []
    taken_HW, wanted = np.zeros((HEIGHT, WIDTH), bool), rng.integers(6, 13)
    while len(placed) < wanted:
        opacity_SS = _enlarged(digits_NHW[rng.integers(len(digits_NHW))], rng)
        side = len(opacity_SS)
        row, column = rng.integers(HEIGHT - side), rng.integers(WIDTH - side)
        place = np.s_[row : row + side, column : column + side]
        if not taken_HW[place].any():
            taken_HW[place] = True
            placed.append((place, opacity_SS))
    return placed


def _enlarged(digit_HW: "NDArray[np.float32]", rng: "np.random.Generator") -> "NDArray[np.float32]":
    """A digit 4 to 8 times as large, smooth, every other one turned by up to 25 degrees."""
    import numpy as np
    from PIL import Image

    padded_HW = np.pad(digit_HW, 2)  # so that turning cuts no stroke off
    side = len(padded_HW) * int(rng.integers(4, 9))
    image = Image.fromarray(padded_HW).resize((side, side), Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        image = image.rotate(rng.uniform(-25, 25), Image.Resampling.BICUBIC)
    opacity_SS: NDArray[np.float32] = np.clip(np.asarray(image), 0, 1)
    return opacity_SS


def clutter(rng: "np.random.Generator") -> "NDArray[np.float32]":
    """A gradient with blobs and lines, as bright and as broad as the strokes of digits, float32 (HEIGHT, WIDTH)."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFilter

    slope_y, slope_x = rng.uniform(-30, 30, 2)
    ramp_HW = 70 + slope_y * np.linspace(-1, 1, HEIGHT)[:, None] + slope_x * np.linspace(-1, 1, WIDTH)
    image = Image.fromarray(ramp_HW.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        left, top, width, height = rng.uniform((-20, -20, 20, 20), (WIDTH, HEIGHT, 90, 90)).tolist()
        draw.ellipse((left, top, left + width, top + height), fill=int(rng.integers(FAINT, BRIGHT)))
    image = image.filter(ImageFilter.GaussianBlur(5))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        ends = rng.uniform(0, (WIDTH, HEIGHT, WIDTH, HEIGHT)).tolist()
        draw.line(ends, fill=int(rng.integers(FAINT, BRIGHT)), width=int(rng.integers(4, 12)))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1)), np.float32)
