"""Pure: text as people see it: one spelling for labels, groups, names of columns and everything else that is
compared."""

import codecs
import itertools
import re
import unicodedata
from collections.abc import Iterator

# What editors, fixed-width fields and clipboards leave at the ends of a text, beside blanks: NUL, the mark of byte
# order, and marks without width (zero-width space to right-to-left mark, embeddings of direction, word joiner).
_UNSEEN = "\0\ufeff\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060"
_ENDS = _UNSEEN + "".join(char for char in map(chr, range(0x3001)) if char.isspace())

_MOST_MIXED = 6  # folders of one path whose forms differ
_WHOLE = re.compile(r"(-?)(0|[1-9][0-9]*)(\.0+)?")

_LAYOUT = "\t\n\v\f\r\x1a"  # DOS ends a text with the last one
_ODD = ("Cc", "Cn", "Co")
_MOST_ODD = 0.05  # of all characters; random bytes have twice as many
_FILLING = re.compile(r"\0+(?=[\r\n]|\Z)")

# The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode_text(data: bytes) -> str:
    """The text of a file without its byte order mark: UTF-16 or UTF-32 if it has theirs, else UTF-8.

    Bytes that are not UTF-8 survive as surrogates. ValueError where a file with another mark is damaged.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    return data.decode("utf-8", "surrogateescape")


def is_text(text: str) -> bool:
    """Whether what ``decode_text`` gives is text, and not the bytes of a picture or a program.

    Text has hardly a control character, unassigned one or one of private use; NULs that fill a line up do not count.
    Lone surrogates are letters of an encoding that nobody named.
    """
    visible = _FILLING.sub("", text)
    odd = sum(char not in _LAYOUT and unicodedata.category(char) in _ODD for char in visible)
    return odd <= _MOST_ODD * len(visible)


def clean_text(text: str) -> str:
    """The text in Unicode's form NFC, without blanks, NULs and other marks without width at its ends."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip(_ENDS)


def clean_label(text: str) -> str:
    """A label or group as ``clean_text`` gives it, and a whole number without its point: ``3.0`` is ``3``.

    pandas writes a column of whole numbers with points as soon as one of them is missing. Any other text stays:
    ``3.10``, ``v3.0``, ``007``.
    """
    text = clean_text(text)
    if (match := _WHOLE.fullmatch(text)) is None or not match[3]:
        return text
    return match[2] if match[2] == "0" else match[1] + match[2]


def spellings(path: str) -> Iterator[str]:
    """Other names under which a path of a table may lie on a disk, the likeliest first.

    Its ends are cleaned, and each folder and name is tried in Unicode's forms NFC and NFD: macOS writes the second.
    """
    parts = clean_text(path).split("/")
    forms = [dict.fromkeys((part, unicodedata.normalize("NFD", part))) for part in parts]
    all_alike = ["/".join(parts), unicodedata.normalize("NFD", "/".join(parts))]
    mixed = itertools.islice(itertools.product(*forms), 2**_MOST_MIXED)
    yield from (name for name in dict.fromkeys([*all_alike, *map("/".join, mixed)]) if name != path)
