"""Pure: SHA-256 digests of bytes and of plain data."""

import hashlib
import json
from typing import Any


def sha256_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON text that depends on the content alone: sorted keys, no spaces. NaN is refused with ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_json(value: Any) -> str:
    """Digest of plain data (dicts, lists, strings, numbers), whatever the order of its keys."""
    return sha256_bytes(canonical_json(value).encode())
