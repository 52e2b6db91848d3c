"""The receipt of a job: every file that it wrote, with its digest. It is written last, and is an output of its rule.

    {"files": {path from the receipt's folder: sha256}, "digest": of the receipt itself}

Jobs that make chunks have none: the record of a chunk serves as its receipt, and the seal as the store's.

Tables, and JSON files without a digest of their own, are read by ``read_result``, which compares them with the receipt.
"""

import argparse
import functools
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError, mend
from unchoke.files import file_sha256, sync_folder, write_atomic, written_files
from unchoke.hashing import sha256_bytes
from unchoke.signed import read_signed, signed_bytes

FLAG = "--receipt"
_FOLDER = "receipts"
_LISTING = ("build_manifest", "build_patches")
# Jobs by the files that they write in the dataset's folder; * is any name, and {} repeats it in the receipt's name.
_JOBS = {
    **dict.fromkeys(("manifest.csv", "manifest.json", "moves.csv", "patches.csv", "grids.json"), _LISTING),
    **dict.fromkeys(("words.csv", "quarantined_words.csv"), _LISTING),
    **dict.fromkeys(("rows/*.csv", "moved/*.csv", "mask_rows/*.csv"), _LISTING),
    **dict.fromkeys(("findings.csv", "cleaning.csv", "cleaning.json"), ("clean_images",)),
    **dict.fromkeys(("feature_findings.csv", "feature_findings.json", "distances.csv"), ("inspect_features",)),
    "decisions.json": ("read_decisions",),
    "selection.csv": ("select_rows",),
    **dict.fromkeys(("to_label.csv", "to_label.json"), ("list_to_label",)),
    **dict.fromkeys(("repeats/*.csv", "repeats/*.json"), ("draw_repeat/{}",)),
    "classes.json": ("count_classes",),
    "unusable.csv": ("list_unusable",),
    "unusable.json": ("check_unusable",),
    "quarantine.csv": ("list_quarantine",),
    "quarantine/*.csv": ("list_quarantine/{}",),
    "quarantine/*.json": ("check_quarantine/{}",),
    "rates.csv": ("summarise_rates",),
    "pipelines.csv": ("compare_pipelines",),
    "experiments.db": ("build_database",),
}
# Former names of jobs: their receipts list old digests, and are removed when the job has run.
_FORMER = {
    "build_database": "build_mask_database",
    "draw_leaderboard": "draw_mask_board",
    "draw_head": "draw_mask_head",
}
# The listing extends these files, so it cannot make deleted ones again.
_GOES_ON_FROM = ("manifest.csv", "manifest.json")


@contextmanager
def receipt_kept(arguments: Sequence[str]) -> Iterator[None]:
    """Write the receipt at ``--receipt PATH`` of `arguments`, when the command has ended well.

    An older receipt is removed before the first file changes, so that a killed job leaves no wrong receipt.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(FLAG, type=Path)
    receipt = parser.parse_known_args(list(arguments))[0].receipt
    if receipt is None:
        yield
        return
    with receipt_written(receipt):
        yield
    for former in _former(receipt):
        _remove(former)


@contextmanager
def receipt_written(receipt: Path, **facts: str) -> Iterator[None]:
    """Write a receipt of the files that are written within the context, as by ``receipt_kept``.

    facts: what else the receipt says.
    """
    with written_files(before=lambda: _remove(receipt)) as files:
        yield
    kept = {path: sha256 for path, sha256 in files.items() if path.exists()}  # temporary files are gone again
    listed = {os.path.relpath(path, receipt.parent): sha256 for path, sha256 in kept.items()}
    write_atomic(receipt, signed_bytes({"files": listed, **facts}))


def _former(receipt: Path) -> list[Path]:
    """The receipt that the same job wrote under its former name, if it had one."""
    for folder in receipt.parents:
        if folder.name == _FOLDER:
            job, *below = receipt.relative_to(folder).parts
            name = job.removesuffix(receipt.suffix)
            return [folder.joinpath(job.replace(name, _FORMER[name], 1), *below)] if name in _FORMER else []
    return []


def _remove(receipt: Path) -> None:
    if receipt.exists():
        receipt.unlink()
        sync_folder(receipt.parent)


def read_receipt(receipt: Path) -> dict[Path, str]:
    """Path and sha256 of every file of a receipt; UnchokeError where the receipt is missing or changed."""
    return {Path(os.path.normpath(receipt.parent / path)): sha256 for path, sha256 in _listed(receipt).items()}


def _listed(receipt: Path) -> dict[str, str]:
    """The digests of a receipt by path from its folder."""
    return read_signed(receipt, "receipt", remedy(receipt, receipt))["files"]  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=8)
def _kept_list(receipt: Path, state: tuple[int, ...]) -> dict[str, str]:
    """``_listed``, cached: a warm worker reads it once for thousands of chunk jobs."""
    return _listed(receipt)


def difference(path: Path, sha256: str) -> str:
    """How a file differs from its digest; empty where it does not."""
    if not path.is_file():
        return "no file"
    return "" if (found := file_sha256(path)) == sha256 else f"sha256 {found}"


def remedy(path: Path, target: Path) -> str:
    """What to do about a damaged file that a receipt lists, or a damaged receipt. target: as for ``errors.mend``."""
    if path.name in _GOES_ON_FROM or path.parent.name == "repeats":
        return "put a copy of it back, or delete it and run snakemake again: images added later may change split"
    if path == target and _FOLDER in path.parts:
        return "delete it and run snakemake again"
    return mend(target)


def receipts_of(path: Path) -> list[Path]:
    """The receipts, there or not, that may list a table or JSON file of results.

    They are relative to the working directory if possible, like Snakemake's targets.
    """
    path = path if len(path.parts) > 2 else path.absolute()
    own, above = path.parent, path.parent.parent
    for folder, name in ((own, path.name), (above, f"{own.name}/*{path.suffix}")):
        if jobs := _JOBS.get(name):
            return [folder / _FOLDER / f"{job.replace('{}', path.stem)}.json" for job in jobs]
    return []


def read_result(path: Path) -> bytes:
    """The bytes of a table or JSON file of results; UnchokeError if they changed since its job wrote them.

    A file without a receipt is not checked: it may be older than receipts, or lie elsewhere.
    """
    data = path.read_bytes()
    digests = {receipt: sha256 for receipt in receipts_of(path) if (sha256 := _digest_in(receipt, path))}
    if digests and (found := sha256_bytes(data)) not in digests.values():
        receipt, expected = next(iter(digests.items()))
        raise UnchokeError(
            "A file of the results was changed after its job had written it.",
            found=f"sha256 {found}",
            expected=f"sha256 {expected}, as {receipt.name} has it",
            where=str(path),
            do=remedy(path, receipt),
        )
    return data


def _digest_in(receipt: Path, path: Path) -> str:
    try:
        state = receipt.stat()
    except FileNotFoundError:
        return ""
    listed = _kept_list(receipt, (state.st_ino, state.st_size, state.st_mtime_ns))
    return listed.get(os.path.relpath(path, receipt.parent), "")


def read_json(path: Path) -> Any:
    """The content of a JSON file, compared as by ``read_result``; UnchokeError names the file where it is not JSON."""
    try:
        return json.loads(read_result(path))
    except ValueError as error:
        raise UnchokeError(
            "A JSON file cannot be read.", found=str(error), where=str(path), do="delete it and run snakemake again"
        ) from error
