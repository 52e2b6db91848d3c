"""Pure: what the cell with an image's label says, by what heads predict: a class, a number, or any number of labels."""

import math
from collections.abc import Iterable
from itertools import islice

from unchoke.names import MULTILABEL, REGRESSION, SEPARATORS
from unchoke.texts import clean_text

NO_NUMBER = "target is not a finite number"
NONE_APPLIES = SEPARATORS[0]
"""The cell of an image that is known to have none of the labels; an empty cell says nothing."""
MOST_DIGITS = 100
"""Powers of ten of the largest number: its square is still one that a float holds."""


def clean_cell(text: str, task: str) -> str:
    """The cell as the manifest has it: a number in its shortest form, labels in order, a class as it is."""
    if task == MULTILABEL:
        return cell_of(labels_in(text)) if clean_text(text) else ""
    if task == REGRESSION and math.isfinite(number := number_in(text)):
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    return text


def wrong_cell(text: str, task: str) -> str:
    """Why no head may use an image with this cell; empty where one may, or where the cell is."""
    return NO_NUMBER if task == REGRESSION and text and not math.isfinite(number_in(text)) else ""


def number_in(text: str) -> float:
    """The number; NaN where there is none, as with ``n/a``, ``1,5`` and ``inf``, or one above 1e100."""
    try:
        number = float("" if "_" in text else text)
    except ValueError:
        return math.nan
    return number if abs(number) <= 10.0**MOST_DIGITS else math.nan


def labels_in(cell: str) -> list[str]:
    """The labels between separators, in order, each once; none for a separator alone."""
    parts = cell
    for separator in SEPARATORS[1:]:
        parts = parts.replace(separator, SEPARATORS[0])
    return sorted({clean_text(part) for part in parts.split(SEPARATORS[0])} - {""})


def cell_of(labels: Iterable[str]) -> str:
    """The cell of an image with these labels."""
    return SEPARATORS[0].join(labels) or NONE_APPLIES


def quoted(names: Iterable[str], most: int = 5) -> str:
    """``'a', 'b', …``: the first few."""
    first = list(islice(names, most + 1))
    return ", ".join(map(repr, first[:most])) + (", …" if len(first) > most else "")
