"""Letters of all scripts in figures: which installed fonts have them."""

import functools
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

_MISSING = re.compile(r"Glyph (\d+) ")
_told: set[str] = set()


@contextmanager
def missing_letters() -> Iterator[set[str]]:
    """Collects the letters that no font of a figure has, while it is drawn; other warnings go on."""
    letters: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield letters
    for warning in caught:
        if found := _MISSING.match(str(warning.message)):
            letters.add(chr(int(found[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def add_fonts(figure: Figure, letters: Iterable[str]) -> bool:
    """Let the texts of a figure fall back on installed fonts that have these letters; whether there is any such font.

    Letters that no font has are told once a process, and drawn as boxes.
    """
    fonts, lost = fonts_with(frozenset(letters))
    for text in figure.findobj(Text) if fonts else []:
        families = text.get_fontfamily()
        text.set_fontfamily([*([families] if isinstance(families, str) else families), *fonts])
    if new := sorted(set(lost) - _told):
        _told.update(new)
        shown = " ".join(f"{letter} (U+{ord(letter):04X})" for letter in new[:5])
        more = f" and {len(new) - 5} more" if len(new) > 5 else ""
        print(
            f"note: figures show boxes in place of {shown}{more}: no installed font has them; install one, such as Noto"
        )
    return bool(fonts)


@functools.lru_cache
def fonts_with(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families that together have as many of the letters as the installed fonts do, and the letters that none has."""
    lost, families = set(letters), []
    installed = [entry for entry in fontManager.ttflist if "Last Resort" not in entry.name]  # which draws boxes for all
    for entry in sorted(installed, key=_preference):
        if found := lost & _letters_of(entry.fname):
            families.append(entry.name)
            lost -= found
        if not lost:
            break
    return tuple(families), frozenset(lost)


def _preference(entry: FontEntry) -> tuple[bool, bool, bool, str]:
    """Upright ones of Noto Sans first, then other fonts without serifs."""
    return entry.style != "normal", "Noto Sans" not in entry.name, "Sans" not in entry.name, entry.fname


@functools.lru_cache(maxsize=4096)
def _letters_of(file: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):  # fonts of pictures, and broken ones
        return frozenset()
