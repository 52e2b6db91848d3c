"""The demo of text: words in matplotlib's fonts on cluttered canvases, straight, turned and curved."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unchoke import versions
from unchoke.hashing import sha256_json
from unchoke.polygons.lines import IGNORED_TEXT
from unchoke.polygons.word import Corners
from unchoke.sources.kinds import text
from unchoke.sources.kinds.canvases import BRIGHT, FAINT, HEIGHT, SEED, WIDTH, clutter
from unchoke.sources.kinds.digits import png_bytes, write_demo
from unchoke.sources.kinds.text import Annotations
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECORD = "words.json"
SOUND = 60  # canvases without a flaw
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono-Bold", "STIXGeneralBol")
VOCABULARY = (
    *("exit", "Open", "CAFE", "hotel", "Market", "STREET", "garden", "Bakery", "POLICE", "library", "Theatre"),
    *("NORTH", "parking", "River", "BRIDGE", "platform", "Station", "TICKETS", "museum", "Harbour", "SCHOOL"),
    *("flowers", "Repair", "SALE", "welcome", "Kitchen", "PHARMACY", "bicycle", "Tower", "AVENUE", "coffee"),
    *("Gallery", "24 hours", "No. 17"),
)
_STEPS = 6  # edges of a curved word's upper border
_ROOM = 4  # px between words


class _Placed(NamedTuple):
    """A word on its canvas."""

    text: str
    outline: Corners
    place: tuple[slice, slice]
    """Rows and columns of the canvas around it, with some room."""
    opacity_hw: "NDArray[np.float32]"
    """There, 0 to 1."""


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The canvases, as ``write_words`` left them."""
    return text.list_images(path, group)


def read_words(path: Path, group: str | None = None) -> dict[str, Annotations]:
    """Their words, by the paths of the canvases."""
    return text.read_words(path, group)


def prerequisites(path: Path) -> list[Path]:
    """The record that ``write_words`` writes last."""
    return [path / RECORD]


def recipe_digest() -> str:
    """Stands for the listing, which the recipe settles before there are any files."""
    return sha256_json({"words": versions.WORDS})


def write_words(path: Path) -> None:
    """Write grey canvases, 640 × 512 px, to ``<path>/images``, their words to ``<path>/gt``, and a record of them.

    Words are quadrilaterals, curved ones have 14 corners. About a tenth are too faint to read, and ignored. Of 64
    canvases one is cut short, one has no words, one has ignored words alone, and one has four lines that are no words.
    The files are the same each time, their times too. UnchokeError where `path` holds other things.
    """
    files = word_files()
    planted = sorted(name for name in files if not Path(name).stem.removeprefix("gt_").isdigit())
    write_demo("words", path, files, RECORD, {"files": len(files), "planted": planted, "version": versions.WORDS})


def word_files() -> dict[str, bytes]:
    """Name and content of every file of the demo."""
    import numpy as np

    files = {}
    names = [*(f"{number:03d}" for number in range(SOUND)), "cut-short", "no-words", "all-ignored", "flawed-lines"]
    for number, name in enumerate(names):
        wanted = 0 if name == "no-words" else None
        grey_HW, lines = draw_words(np.random.default_rng([SEED, number]), wanted)
        if name == "all-ignored":
            lines = [f"{line.rpartition(',')[0]},{IGNORED_TEXT}" for line in lines]
        if name == "flawed-lines":
            lines += flawed_lines()
        picture = png_bytes(grey_HW)
        files[f"images/{name}.png"] = picture[:20_000] if name == "cut-short" else picture
        files[f"gt/gt_{name}.txt"] = "".join(f"{line}\r\n" for line in lines).encode("utf-8-sig")
    return files


def flawed_lines() -> list[str]:
    """Lines that are no words: seven numbers, a letter for a number, an outline that crosses itself, one outside."""
    return [
        "10,10,60,10,60,30,10,seven",
        "10,10,6O,10,60,30,10,30,letter",
        "10,10,60,10,20,40,50,40,40,60,crossed",
        f"{WIDTH + 10},10,{WIDTH + 60},10,{WIDTH + 60},30,{WIDTH + 10},30,outside",
    ]


def draw_words(rng: "np.random.Generator", wanted: int | None = None) -> tuple["NDArray[np.uint8]", list[str]]:
    """A canvas in grey, uint8 (HEIGHT, WIDTH), and the lines of its gt file. wanted: how many words; None: 5 to 9."""
    import numpy as np

    grey_HW, lines = clutter(rng), list[str]()
    for word in _placed(rng, int(rng.integers(5, 10)) if wanted is None else wanted):
        canvas_hw = grey_HW[word.place]
        ground = float(canvas_hw[word.opacity_hw > 0.5].mean())
        unreadable = rng.random() < 0.1
        contrast = rng.uniform(8, 14) if unreadable else rng.uniform(70, 120)
        ink = ground + contrast if ground < (FAINT + BRIGHT) / 2 else ground - contrast
        canvas_hw += word.opacity_hw * (ink - canvas_hw)
        numbers = ",".join(f"{value:.1f}" for corner in word.outline for value in corner)
        lines.append(f"{numbers},{IGNORED_TEXT if unreadable else word.text}")
    grey_HW += rng.normal(0, 8, grey_HW.shape)
    return np.clip(np.round(grey_HW), 0, 255).astype(np.uint8), lines


def _placed(rng: "np.random.Generator", wanted: int) -> Iterator[_Placed]:
    """Words that lie within the canvas and do not touch."""
    import numpy as np

    taken_HW = np.zeros((HEIGHT, WIDTH), bool)
    while wanted:
        name = str(rng.choice(VOCABULARY))
        strip_HW = _strip(name, str(rng.choice(FONTS)), int(rng.integers(18, 46)))
        word = _bent(name, strip_HW, rng)
        if word is not None and not taken_HW[word.place].any():
            taken_HW[word.place] = True
            wanted -= 1
            yield word


@lru_cache(maxsize=1)
def _font_folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf")


def _strip(name: str, font: str, size: int) -> "NDArray[np.float32]":
    """A word in a straight line, opacities 0 to 1, cut to its letters. size: of the font, px."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(str(_font_folder() / f"{font}.ttf"), size, layout_engine=ImageFont.Layout.BASIC)
    left, upper, right, lower = (int(side) for side in face.getbbox(name))
    image = Image.new("L", (right - left, lower - upper))
    ImageDraw.Draw(image).text((-left, -upper), name, 255, face)
    opacity_hw: NDArray[np.float32] = np.asarray(image, np.float32) / np.float32(255)
    return opacity_hw


def _bent(name: str, strip_hw: "NDArray[np.float32]", rng: "np.random.Generator") -> _Placed | None:
    """The word turned by up to 30 degrees, every third one on an arc of 60 to 120 degrees; None where it leaves the
    canvas."""
    import numpy as np
    from scipy.ndimage import map_coordinates

    height, width = strip_hw.shape
    turn = float(np.radians(rng.uniform(-30, 30)))
    radius = width / float(np.radians(rng.uniform(60, 120))) if rng.random() < 1 / 3 else 0.0
    centre = rng.uniform((0, 0), (WIDTH, HEIGHT))
    outline_K2 = _onto_canvas(_border(height, width, _STEPS if radius else 1), turn, radius, centre)
    left, upper = np.floor(outline_K2.min(0)).astype(int) - _ROOM
    right, lower = np.ceil(outline_K2.max(0)).astype(int) + _ROOM
    if min(left, upper) < 0 or right > WIDTH or lower > HEIGHT:
        return None
    place = np.s_[upper:lower, left:right]
    y_hw, x_hw = np.mgrid[place] + 0.5
    along_hw, down_hw = _from_canvas(x_hw - centre[0], y_hw - centre[1], turn, radius)
    wanted = (down_hw + height / 2 - 0.5, along_hw + width / 2 - 0.5)
    opacity_hw: NDArray[np.float32] = map_coordinates(strip_hw, wanted, order=1)
    return _Placed(name, tuple(map(tuple, outline_K2.tolist())), place, opacity_hw)


def _border(height: int, width: int, steps: int) -> "NDArray[np.float64]":
    """Corners around a strip, (K, 2), from its centre: along it and down; clockwise, `steps` edges above and below."""
    import numpy as np

    along_S = np.linspace(-width / 2, width / 2, steps + 1)
    upper_S2 = np.stack([along_S, np.full(steps + 1, -height / 2)], 1)
    lower_S2 = np.stack([along_S[::-1], np.full(steps + 1, height / 2)], 1)
    return np.concatenate([upper_S2, lower_S2])


def _onto_canvas(
    place_K2: "NDArray[np.float64]", turn: float, radius: float, centre: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Where places of a strip come to lie, x and y, px. radius: of the arc that its middle line follows; 0: none."""
    import numpy as np

    along_K, down_K = place_K2.T
    if radius:
        angle_K, reach_K = along_K / radius, radius - down_K
        along_K, down_K = reach_K * np.sin(angle_K), radius - reach_K * np.cos(angle_K)
    x_K = along_K * np.cos(turn) - down_K * np.sin(turn)
    y_K = along_K * np.sin(turn) + down_K * np.cos(turn)
    placed_K2: NDArray[np.float64] = np.stack([x_K, y_K], 1) + centre
    return placed_K2


def _from_canvas(
    x_hw: "NDArray[np.float64]", y_hw: "NDArray[np.float64]", turn: float, radius: float
) -> tuple["NDArray[np.float64]", "NDArray[np.float64]"]:
    """The way back from pixels, from the word's centre: along the strip and down."""
    import numpy as np

    along_hw = x_hw * np.cos(turn) + y_hw * np.sin(turn)
    down_hw = y_hw * np.cos(turn) - x_hw * np.sin(turn)
    if not radius:
        return along_hw, down_hw
    angle_hw = np.arctan2(along_hw, radius - down_hw)
    return angle_hw * radius, radius - np.hypot(along_hw, radius - down_hw)
