"""Stage: every result compared with its digest; damaged and missing ones are named with the command for each.

features, fingerprints, labels   by their seals: chunks, metadata; records and origins hold their own digests
predictions, bands of masks      by the records of their chunks
weights, memory plans            by the digests that cards and plans hold
all other files                  by the receipts of the jobs that wrote them
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from unchoke.encoders.cards import read_card
from unchoke.errors import UnchokeError
from unchoke.machine.receipts import difference, read_receipt, remedy
from unchoke.signed import signed_content
from unchoke.stitching.stitch import BANDS, record_file
from unchoke.store import chunks as stores
from unchoke.store import origin
from unchoke.store.read import read_seal
from unchoke.store.zarr_bytes import METADATA, group_files

LONGEST_LIST = 50  # damaged files in a message


class Checked(NamedTuple):
    """A file that was looked at."""

    path: Path
    found: str
    """What is wrong with it; empty where it is as it was written."""
    target: Path
    """A declared output of the job that makes it again."""


@dataclass(frozen=True)
class Expected:
    """What a finished run has, as far as the results themselves do not say it."""

    stores: Sequence[Path]
    """Sealed stores."""
    receipts: Sequence[Path]
    plans: Sequence[Path]
    """Memory plans, with the measured peaks beside them."""
    weights: Sequence[Path]
    """Weights files, with their cards beside them."""


def verify_results(results: Path, expected: Expected) -> list[Checked]:
    """Look at every file below `results`, the dataset's folder, and at the weights; return them all."""
    found = [*_weights(expected.weights), *_signed(expected.plans)]
    for store in expected.stores:
        found += _sealed(store)
    for folder in sorted((results / "predictions").glob("*/*.chunks")):
        found += _chunks(folder.with_suffix(".zarr"), {})
    receipts = {*expected.receipts, *(results / "receipts").rglob("*.json")}
    for receipt in sorted(receipts):
        found += _receipt(receipt)
    for metadata in sorted((results / "stitched").glob("*/*/*.zarr/zarr.json")):
        found += _bands(metadata.parent)
    return found


def refuse_damage(checked: Sequence[Checked]) -> None:
    """UnchokeError that lists damaged files, each with the command that makes it again."""
    damaged = [file for file in checked if file.found]
    if not damaged:
        return
    lines = [f"{file.path}: {file.found}; {remedy(file.path, file.target)}" for file in damaged[:LONGEST_LIST]]
    more = [f"and {len(damaged) - LONGEST_LIST:,} more"] if len(damaged) > LONGEST_LIST else []
    raise UnchokeError(
        f"{len(damaged):,} of {len(checked):,} files are missing or changed.",
        found="\n            ".join([*lines, *more]),
        do="a plain `snakemake --cores all` makes what is missing, the above mends the rest; delete nothing else",
    )


def _by_digest(path: Path, sha256: str, target: Path) -> Checked:
    return Checked(path, difference(path, sha256), target)


def _by_itself(path: Path, target: Path) -> Checked:
    """A file that holds its own digest."""
    found = "" if path.is_file() else "no file"
    if not found and signed_content(path.read_bytes()) is None:
        found = "without a digest, or with another one than its own"
    return Checked(path, found, target)


def _weights(files: Sequence[Path]) -> Iterator[Checked]:
    for weights in files:
        card = weights.with_suffix(".json")
        try:
            content = read_card(card)
        except UnchokeError:
            yield Checked(card, "no card that is as it was written", weights)
            continue
        yield Checked(card, "", weights)
        yield _by_digest(weights, content["sha256"], weights)


def _signed(plans: Sequence[Path]) -> Iterator[Checked]:
    for plan in plans:
        yield _by_itself(plan, plan)
        yield _by_itself(plan.with_suffix(".peaks.json"), plan)
        ways = (plan.with_suffix(end) for end in (".way.json", ".compiling.json"))
        yield from (_by_itself(way, plan.with_suffix(".way.json")) for way in ways if way.exists())


def _receipt(receipt: Path) -> Iterator[Checked]:
    """A receipt, and all files in it."""
    try:
        files = read_receipt(receipt)
    except UnchokeError:
        yield _by_itself(receipt, receipt)
        return
    yield Checked(receipt, "", receipt)
    yield from (_by_digest(path, sha256, receipt) for path, sha256 in files.items())


def _sealed(store: Path) -> Iterator[Checked]:
    """Seal, metadata, origin, records and chunks of a store."""
    target, seal = store / METADATA, {}
    try:
        seal = read_seal(store)
        found = "" if "metadata" in seal else "of an earlier version, without digests of the metadata"
    except UnchokeError:
        found = "no seal that is as it was written"
    yield Checked(stores.seal_file(store), found, target)
    for key, sha256 in seal.get("metadata", {METADATA: ""}).items():
        yield _by_digest(store / key, sha256, target)
    yield _origin(store, target)
    yield from _chunks(store, seal)


def _origin(store: Path, target: Path) -> Checked:
    path = origin.origin_file(store)
    checked = _by_itself(path, target)
    if not checked.found and stores.seal_file(store).is_file() and not origin.read_origin(store):
        return Checked(path, "that of another seal", target)
    return checked


def _chunks(store: Path, seal: Mapping[str, Any]) -> Iterator[Checked]:
    """Records and chunks of a store: all in its seal, or without a seal all with a record or a file."""
    sealed = seal.get("sha256", {})
    numbers = set(range(len(sealed[stores.VALID]))) if sealed else stores.chunks_there(store)
    for chunk in sorted(numbers):
        target = stores.chunk_target(store, chunk)
        try:
            record = stores.read_record(store, chunk)
        except UnchokeError:
            record = {}
        path = stores.record_file(store, chunk)
        yield Checked(path, "" if record else "no record that is as it was written", target)
        digests = {name: each[chunk] for name, each in sealed.items()} or record.get("sha256", {})
        for name, sha256 in digests.items():
            axes = seal.get("axes", {}).get(name) or len(record.get("shapes", {}).get(name, "  "))
            yield _by_digest(stores.chunk_file(store, name, chunk, axes), sha256, target)


def _bands(store: Path) -> Iterator[Checked]:
    """Bands of a mask and their records; the root's metadata, which lists them, stands in a receipt."""
    try:
        files = group_files(store)
    except UnchokeError:
        return
    for key, sha256 in files.items():
        if not key.endswith(METADATA):
            band = int(key.split("/")[-2])
            target = store / f"{BANDS}{band}/0"
            yield _by_digest(store / key, sha256, target)
            if key.startswith(BANDS):
                yield _by_itself(record_file(store, band), target)
