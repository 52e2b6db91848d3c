"""Letters that the house's font lacks are drawn with an installed font that has them, or told."""

import io

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager
from PIL import Image

from unchoke.report import fonts
from unchoke.report.style import note_figure, png_bytes

CAT, TREE = "\u732b", "\u6728"  # neither is in DejaVu Sans


@pytest.fixture
def square(tmp_path, monkeypatch):
    """An installed font whose only letter, CAT, is a black square as wide as the line is high."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 1000), (1000, 1000), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "cat"])
    builder.setupCharacterMap({ord(CAT): "cat"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "cat": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "cat": (1000, 0)})
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": "Square Sans", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "square.ttf")
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    fontManager.addfont(tmp_path / "square.ttf")
    fonts.fonts_with.cache_clear()
    yield
    fonts.fonts_with.cache_clear()


@pytest.fixture(autouse=True)
def _nothing_told_yet(monkeypatch):
    monkeypatch.setattr(fonts, "_told", set())


def black(png):
    """Share of the picture that is black."""
    with Image.open(io.BytesIO(png)) as image:
        return float((np.asarray(image.convert("L")) < 30).mean())


def test_a_letter_is_drawn_with_a_font_that_has_it(square, capsys):
    assert black(png_bytes(note_figure("", CAT * 20))) > 3 * black(png_bytes(note_figure("", TREE * 20)))
    assert CAT not in capsys.readouterr().out


def test_a_letter_of_no_font_is_told_once(square, capsys):
    for _ in range(2):
        png_bytes(note_figure("", f"{CAT}{TREE} and latin"))
    said = capsys.readouterr().out
    assert said.count("note:") == 1 and f"{TREE} (U+6728)" in said and CAT not in said


def test_fonts_are_found_by_their_letters_and_lost_letters_are_named(square):
    assert fonts.fonts_with(frozenset(CAT + TREE)) == (("Square Sans",), frozenset(TREE))
