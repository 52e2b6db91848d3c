"""Pure: which file holds the weights of an encoder; encoders with the same weights share it."""

import re
from collections.abc import Mapping
from typing import Any

from unchoke.hashing import sha256_bytes
from unchoke.names import ORIGINS, WEIGHTS


def weights_name(encoder: Mapping[str, Any]) -> str:
    """Stem of the file. encoder: its section of the config."""
    if encoder["weights"] == "untrained":
        origin = f"untrained-{encoder['seed']}"
    elif encoder["weights"] in ORIGINS:
        origin = encoder["weights"]
    else:
        origin = f"file-{sha256_bytes(encoder['weights'].encode())[:8]}"
    return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{encoder['model']}.{origin}")


def local_weights(encoder: Mapping[str, Any]) -> list[str]:
    """The file that weights are taken from, where the config names one."""
    return [] if encoder["weights"] in ORIGINS else [encoder["weights"]]


def weights_files(name: str) -> dict[str, str]:
    """The weights and the card that says what they are. name: as ``weights_name`` has it, or a wildcard in braces."""
    return {"weights": f"{WEIGHTS}/{name}.safetensors", "card": f"{WEIGHTS}/{name}.json"}


def encoder_weights(encoder: Mapping[str, Any]) -> dict[str, str]:
    """As ``weights_files``, for an encoder's section of the config."""
    return weights_files(weights_name(encoder))
