"""The card beside a weights file: model, source and digest of the weights, signed."""

from pathlib import Path
from typing import Any

from unchoke.errors import mend
from unchoke.signed import read_signed

_KEYS = {"model", "source", "trained", "sha256", "parameters", "data_config", "license"}


def read_card(card: Path) -> dict[str, Any]:
    """The content of a card; UnchokeError where the file is missing or changed."""
    do = mend(card.with_suffix(".safetensors"))
    return read_signed(card, "card of the weights", do, unsigned=lambda content: set(content) == _KEYS)
