"""Names of the views of an image that an encoder may store."""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from unchoke.names import TURNS, suggestion

PATTERN = r"^(crop|colour)_\d+$"


def _known(name: str) -> str:
    if name not in TURNS and not re.fullmatch(PATTERN, name, re.ASCII):
        raise ValueError(f"unknown view '{name}': {suggestion(name, [*TURNS, 'crop_0', 'colour_0'])}")
    return name


View = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema({"type": "string", "anyOf": [{"enum": list(TURNS)}, {"pattern": PATTERN}]}),
]
