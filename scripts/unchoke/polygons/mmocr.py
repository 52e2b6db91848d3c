"""Pure: words from the JSON files of MMOCR: ``data_list[]`` with ``img_path``, ``height``, ``width``, ``instances[]``.

An instance has ``polygon`` (x and y in turn) or ``bbox`` (left, upper, right, lower), and may have ``ignore`` and
``text``.
"""

import json
from typing import Any, NamedTuple

from unchoke.polygons.word import Word, finite, paired
from unchoke.texts import decode_text


class Entry(NamedTuple):
    """One image of the file."""

    path: str
    """As the file has it."""
    height: int
    """px; 0 where the file does not say it."""
    width: int
    words: list[Word]


def parse_mmocr(data: bytes) -> list[Entry]:
    """The images of a file and their words; ValueError with the reason where it is no such file.

    An instance that is no polygon gives a word with a fault.
    """
    content = json.loads(decode_text(data))
    listed = content.get("data_list") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no list 'data_list'")
    return [_entry(number, entry) for number, entry in enumerate(listed)]


def _entry(number: int, entry: Any) -> Entry:
    if not isinstance(entry, dict) or not isinstance(path := entry.get("img_path"), str) or not path.strip():
        raise ValueError(f"data_list[{number}] has no 'img_path'")
    instances = entry.get("instances", [])
    if not isinstance(instances, list):
        raise ValueError(f"data_list[{number}].instances is no list")
    words = [_word(number, place, instance) for place, instance in enumerate(instances)]
    return Entry(_writable(path), _side(entry, "height"), _side(entry, "width"), words)


def _writable(text: str) -> str:
    """The text, with a mark in the place of halves of surrogate pairs, which JSON may have and no file."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _side(entry: dict[str, Any], name: str) -> int:
    return int(finite(entry.get(name)) or 0)


def _word(number: int, place: int, instance: Any) -> Word:
    where = f"data_list[{number}].instances[{place}]"
    if not isinstance(instance, dict):
        return Word((), "", False, where, "no polygon")
    values, fault = _numbers(instance)
    text, ignore = instance.get("text", ""), instance.get("ignore")
    if not fault and ignore not in (True, False, None):
        fault = f"ignore {str(ignore)[:20]!r}, where true or false was expected"
    return Word(
        paired(values), _writable(text) if isinstance(text, str) else "", ignore is True or ignore == 1, where, fault
    )


def _numbers(instance: dict[str, Any]) -> tuple[list[float], str]:
    """x and y in turn, up to the first that is no number, and what is wrong with them."""
    name = "polygon" if instance.get("polygon") is not None else "bbox"
    raw = instance.get(name)
    if not isinstance(raw, list):
        return [], "no polygon"
    flat = [value for pair in raw for value in (pair if isinstance(pair, list) else [pair])]
    numbers = [number for value in flat if (number := finite(value)) is not None]
    if len(numbers) < len(flat):
        first = next(place for place, value in enumerate(flat) if finite(value) is None)
        return numbers[:first], f"{str(flat[first])[:20]!r} among the numbers"
    if name == "bbox":
        if len(numbers) != 4:
            return numbers, f"a bbox of {len(numbers)} numbers, where 4 were expected"
        left, upper, right, lower = numbers
        return [left, upper, right, upper, right, lower, left, lower], ""
    return numbers, f"{len(numbers)} numbers, an odd count" if len(numbers) % 2 else ""
