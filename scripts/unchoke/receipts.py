"""The receipt of a job: every file that it wrote, with its digest. It is written last, and is an output of its rule.

    {"files": {path from the receipt's folder: sha256}, "digest": of the receipt itself}

Jobs that make chunks have none: the record of a chunk is its receipt, and a seal that of a store.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unchoke.files import file_sha256, write_atomic, written_files
from unchoke.signed import read_signed, signed_bytes

FLAG = "--receipt"


@contextmanager
def receipt_kept(arguments: Sequence[str]) -> Iterator[None]:
    """Write the receipt that `arguments` ask for with ``--receipt PATH``, when the command has ended well."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(FLAG, type=Path)
    receipt = parser.parse_known_args(list(arguments))[0].receipt
    if receipt is None:
        yield
        return
    with written_files() as files:
        yield
    kept = {path: sha256 for path, sha256 in files.items() if path.exists()}  # drafts are gone again
    listed = {os.path.relpath(path, receipt.parent): sha256 for path, sha256 in kept.items()}
    write_atomic(receipt, signed_bytes({"files": listed}))


def read_receipt(receipt: Path, do: str) -> dict[Path, str]:
    """Path and sha256 of every file of a receipt; UnchokeError, with `do`, where the receipt is missing or changed."""
    files = read_signed(receipt, "receipt", do)["files"]
    return {Path(os.path.normpath(receipt.parent / path)): sha256 for path, sha256 in files.items()}


def difference(path: Path, sha256: str) -> str:
    """How a file differs from what it was; empty where it does not."""
    if not path.is_file():
        return "no file"
    return "" if (found := file_sha256(path)) == sha256 else f"sha256 {found}"
