"""Pure: words from a text file, one a line: ``x1,y1,…,xk,yk,transcription``, as the ICDAR competitions have them.

How many numbers belong to the polygon: the numeric fields at the start of the line, an even count of at least 8. If
their count is odd, the last of them begins the transcription, which may have commas and is never split. Where every
field of a line is a number, the transcription is one of them if other lines of the file have one; then as few fields as
possible are taken for it. So ``10,10,90,10,90,40,10,40,24`` is a quadrilateral with the transcription 24.
"""

import codecs
import re

from unchoke.polygons.word import FEW, Word, paired
from unchoke.texts import decode_text, is_text

IGNORED_TEXT = "###"
"""The transcription of words that nobody could read: they count neither as found nor as missed."""

_NUMBER = re.compile(r"\s*[+-]?(\d{1,15}(\.\d*)?|\.\d+)\s*", re.ASCII)
_LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines would also split at characters within a transcription
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DIGIT = re.compile("[0-9]")
_FEWEST = 8
_STRANGE = 4  # numeric fields behind a field that is none: a corner with a letter in it is likelier than such a text


def parse_lines(data: bytes) -> list[Word]:
    """The words of a file in UTF-8, or in UTF-16 with its mark of byte order; empty lines are none.

    A line that is no polygon gives a word with a fault. ValueError where the file's bytes are no text.
    """
    text = _decoded(data)
    lines = [(number, line) for number, line in enumerate(_LINE_END.split(text), 1) if line.strip("\0 \t")]
    fields = [line.split(",") for _, line in lines]
    transcribed = any(_has_text(parts) for parts in fields)
    return [_word(parts, f"line {number}", transcribed) for (number, _), parts in zip(lines, fields, strict=True)]


def parse_polygon(text: str, place: str) -> Word:
    """A word without transcription from x and y in turn, with blanks, commas or semicolons between."""
    fields = re.split(r"[\s,;]+", text.strip())
    leading = _leading(fields)
    fault = f"{fields[leading][:20]!r} among the numbers" if leading < len(fields) else ""
    if not fault and leading % 2:
        fault = f"{leading} numbers, an odd count"
    return Word(paired(map(float, fields[:leading])), "", False, place, fault)


def _decoded(data: bytes) -> str:
    """The text of a file; ValueError where it is none.

    Bytes of any kind may begin as UTF-16 does, and most pairs of bytes are a letter of it; hardly any are a digit.
    """
    marked = data.startswith(_MARKS)
    try:
        text = decode_text(data)
        sensible = is_text(text) and not (marked and text.strip("\0 \t\r\n") and not _DIGIT.search(text))
    except UnicodeDecodeError:
        sensible = False
    if not sensible:
        raise ValueError(f"bytes that are no text{' behind the mark of UTF-16' if marked else ''}")
    return text


def is_ignored(text: str) -> bool:
    """Whether a transcription says that nobody could read the word."""
    return text.strip().strip('"') == IGNORED_TEXT


def _leading(fields: list[str]) -> int:
    """How many fields at the start are numbers."""
    return next((place for place, field in enumerate(fields) if not _NUMBER.fullmatch(field)), len(fields))


def _has_text(fields: list[str]) -> bool:
    """Whether a line has a transcription beyond doubt."""
    leading = _leading(fields)
    return leading >= _FEWEST and (leading < len(fields) or leading % 2 == 1)


def _word(fields: list[str], place: str, transcribed: bool) -> Word:
    leading = _leading(fields)
    count = leading - leading % 2
    if leading == len(fields) and transcribed and count == leading:
        count -= 2
    behind = fields[leading:]
    fault = ""
    if leading < _FEWEST:
        fault = _fault(leading, fields)
    elif count < _FEWEST:
        fault = f"{leading} numbers and no transcription, where other lines of the file have one"
    elif sum(bool(_NUMBER.fullmatch(field)) for field in behind) >= _STRANGE:
        fault = f"{behind[0].strip()[:20]!r} among the numbers"
    numbers = [float(field) for field in fields[: leading if fault else count]]
    text = "" if fault else ",".join(fields[count:])
    return Word(paired(numbers), text, is_ignored(text), place, fault)


def _fault(leading: int, fields: list[str]) -> str:
    if leading < 6 and leading == len(fields) - 1:
        return FEW
    behind = f", then {fields[leading].strip()[:20]!r}" if leading < len(fields) else ""
    return f"{leading} numbers{behind}, where at least {_FEWEST} numbers were expected"
