"""Pure: words and numbers of the page."""

from unchoke.metrics.classification import written

NOTHING = "\u2013"
"""A cell without a value."""
_MINUS, _STAYS = "\u2212", "\u00a0"


def drawable(text: str) -> str:
    """Text that UTF-8 can hold: bytes of a path that are not UTF-8 become \ufffd."""
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def figure(value: float | None, digits: int = 4, *, signed: bool = False) -> str:
    """A number with so many digits behind the point, as ``written``; a dash for None."""
    return NOTHING if value is None else minus(written(value, digits, signed=signed))


def minus(text: str) -> str:
    """Text of a number with the sign that typesetters use."""
    return text.replace("-", _MINUS)


def together(text: str) -> str:
    """Text of a number and its unit that no line break parts."""
    return text.replace(" ", _STAYS)


def duration(seconds: float) -> str:
    """Seconds in words: ``0.4 s``, ``12 s``, ``3 min``, ``1.5 h``."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
