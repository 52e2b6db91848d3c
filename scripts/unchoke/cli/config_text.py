"""A config as YAML with comments, whatever stands in the names of folders, columns and classes."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from unchoke.config.base import NAME_LENGTH
from unchoke.errors import UnchokeError

_ENDLESS = 2**31  # characters of a line: a path stays on one
_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "o", "Ø": "O"}
)

Place = tuple[str, ...]
"""A section, or a section and a key in it."""


def dataset_name(text: str) -> str:
    """A name for results from that of a folder or file: ASCII letters, digits, ``_``, ``.`` and ``-``."""
    plain = unicodedata.normalize("NFC", text).translate(_LETTERS)
    ascii_alone = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", ascii_alone).strip("-._")[:NAME_LENGTH]
    return name or "images"


def config_text(
    sections: Mapping[str, Mapping[str, Any]],
    head: Iterable[str],
    before: Mapping[Place, str],
    after: Mapping[str, Iterable[str]],
) -> str:
    """YAML with a line for each key of each section.

    head: lines of the comment at the top. before: comments above a section or a key. after: those below a section.
    """
    lines = [commented(line) for line in head]
    for section, content in sections.items():
        lines += ["", *([commented(before[section,])] if (section,) in before else []), f"{section}:"]
        for key, value in content.items():
            lines += [f"  {commented(before[section, key])}"] if (section, key) in before else []
            lines.append(f"  {flow(key)}: {flow(value)}")
        lines += [f"  {commented(line)}" for line in after.get(section, [])]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value in one line of YAML, which reads back as itself."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    is_plain = not isinstance(value, str) or re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", value)
    style = None if is_plain and yaml.safe_load(str(value)) == value else '"'
    text = yaml.safe_dump(value, allow_unicode=True, width=_ENDLESS, default_style=style)
    return text.removesuffix("\n").removesuffix("\n...")


def commented(text: str) -> str:
    """One line of a comment."""
    return f"# {printable(text)}".rstrip()


def printable(text: str) -> str:
    """The text in one line, characters that nobody sees as escapes."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def refuse_unwritable(path: str) -> None:
    """UnchokeError where a path has bytes that are not UTF-8, which YAML cannot hold."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise UnchokeError(
            "The path is not in UTF-8, and a config cannot hold it.",
            found=ascii(path),
            do="rename it, or make a link to it with another name",
        ) from None
