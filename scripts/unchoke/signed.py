"""JSON files that hold their own digest: a changed bit anywhere in one shows when it is read.

{…, "digest": SHA-256 of the file as it would be without this line}
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError, mend
from unchoke.files import json_bytes
from unchoke.hashing import sha256_bytes

DIGEST = "digest"
Unsigned = Callable[[dict[str, Any]], bool]
"""Whether content without a digest comes from a file written before files were signed."""


def never(content: dict[str, Any]) -> bool:
    """For files that were signed from the first."""
    return False


def signed_bytes(content: dict[str, Any]) -> bytes:
    """JSON text of `content` and of its digest."""
    return json_bytes({**content, DIGEST: sha256_bytes(json_bytes(content))})


def signed_content(data: bytes, unsigned: Unsigned = never) -> dict[str, Any] | None:
    """What ``signed_bytes`` made `data` of; None where it is something else."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    if DIGEST not in content:
        return content if unsigned(content) else None
    del content[DIGEST]
    try:
        return content if signed_bytes(content) == data else None
    except ValueError:  # NaN, which is never written
        return None


def read_signed(path: Path, what: str, do: str = "", unsigned: Unsigned = never) -> dict[str, Any]:
    """The content of a signed file; UnchokeError where it is missing, or another one than ``signed_bytes`` made.

    what: name of the file's kind, for the message. do: how to make it again; if empty, the command for a declared
    output.
    """
    found, content = "no file", None
    if path.is_file():
        found, content = "another digest than the one that it holds", signed_content(path.read_bytes(), unsigned)
    if content is None:
        problem = f"The {what} is missing or changed."
        raise UnchokeError(problem, found=found, where=str(path), do=do or mend(path))
    return content
