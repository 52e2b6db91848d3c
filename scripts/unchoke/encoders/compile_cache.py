"""The cache of compiled encoders on disk: a folder for each, whole or not there.

    $XDG_CACHE_HOME/unchoke/compiled/<key>/           what inductor writes: code, libraries, graphs
    $XDG_CACHE_HOME/unchoke/compiled/<key>.json       digest of every file, written when all is there
    $XDG_CACHE_HOME/unchoke/compiled/<key>.lock       held by the process that compiles or reads

A process that is killed leaves a folder without its list, and a damaged file differs from the list. Such a folder is
deleted before it is used: a library that was cut off would end the process that loads it.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from unchoke.files import file_sha256, write_atomic
from unchoke.signed import signed_bytes, signed_content

KEPT = 16
"""Encoders whose code is kept; those used least recently go. One takes 1 to 10 MB."""
_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def cache_folder() -> Path:
    """Where the code of all encoders lies."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "unchoke", "compiled")


@contextlib.contextmanager
def kept_code(key: str, root: Path | None = None) -> Iterator[Path]:
    """Within the context, inductor reads and writes its code in the folder of `key`, which this process alone has.

    What is there is whole. The list is written at the context's end, unless by an error.
    """
    root = root or cache_folder()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(root / f"{key}.lock"):
        folder, listing = root / key, root / f"{key}.json"
        known = signed_content(listing.read_bytes()) if listing.is_file() else None
        if known is None or known != _files(folder):
            shutil.rmtree(folder, ignore_errors=True)
        listing.unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)
        with _inductor_in(folder):
            yield folder
        write_atomic(listing, signed_bytes(dict(_files(folder))))
    _remove_oldest(root)


def _files(folder: Path) -> dict[str, str]:
    """Digest of every file by its path, without the locks."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): file_sha256(path) for path in files}


@contextlib.contextmanager
def _inductor_in(folder: Path) -> Iterator[None]:
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE)
        if before is not None:
            os.environ[_VARIABLE] = before


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _remove_oldest(root: Path) -> None:
    """Delete all but the last KEPT folders, by the time of their lists; one that a process has stays."""
    listings = sorted(root.glob("*.json"), key=lambda listing: listing.stat().st_mtime, reverse=True)
    for listing in listings[KEPT:]:
        with listing.with_suffix(".lock").open("w") as handle, contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            listing.unlink(missing_ok=True)
            shutil.rmtree(listing.with_suffix(""), ignore_errors=True)
