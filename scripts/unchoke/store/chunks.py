"""The one owner of the feature store: chunks written one by one, a seal that makes them a Zarr array.

    <store>/<pool>/c/<chunk>/0      float16 or float32 (chunk_size, D), the last chunk padded with zeros
    <store>/<map>/c/<chunk>/0/0/0   the same (chunk_size, C, H, W), where patches are the rows
    <store>/activations/c/<chunk>/0/0/0     the same (chunk_size, …) before the last blocks of an encoder
    <store>/pixels/c/<chunk>/0/0/0  uint8 (chunk_size, 3, H, W), pictures as an encoder sees them
    <store>/mask/c/<chunk>/0/0      uint8 (chunk_size, H, W), labels of pixels
    <store>/hashes/c/<chunk>/0      uint64 (chunk_size, 3), and
    <store>/measures/c/<chunk>/0    float32 (chunk_size, 6), where images are fingerprinted
    <store>/valid/c/<chunk>         bool (chunk_size,), false where an image could not be read, and in the padding
    <store>/…/zarr.json             written by the seal, the root's last
    <store>.chunks/<chunk>.json     what a chunk was made from, digests of its files, images that could not be read
    <store>.sealed.json             the same for the whole store, with digests of chunks and metadata; its bytes depend
                                    on data and settings alone

`<store>` ends in ``.zarr``; the files beside it carry its name without that ending. If chunks_per_shard is above 1,
each chunk here is a shard: one file of chunks_per_shard * chunk_size rows, in inner chunks of chunk_size.
"""

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.files import write_atomic, write_if_changed
from unchoke.hashing import sha256_bytes
from unchoke.machine.receipts import read_json
from unchoke.machine.releases import made_by
from unchoke.names import ACTIVATIONS, PIXELS
from unchoke.signed import read_signed, signed_bytes
from unchoke.store.cuts import chunk_count
from unchoke.store.partial_shards import drafts_folder
from unchoke.store.zarr_bytes import (
    METADATA,
    MemoryGroup,
    create_array,
    decode_chunk,
    encode_chunk,
    write_metadata_last,
)

VALID = "valid"
MASK = "mask"
THRESHOLD = "threshold"
HASHES = "hashes"
MEASURES = "measures"
_DTYPES = {
    VALID: np.dtype(bool),
    MASK: np.dtype(np.uint8),
    THRESHOLD: np.dtype(np.uint8),
    PIXELS: np.dtype(np.uint8),
    HASHES: np.dtype(np.uint64),
    MEASURES: np.dtype(np.float32),
}
_FEATURE = np.dtype(np.float16)  # unless record and seal say otherwise in their "dtypes"
_DIMENSIONS = {1: ("image",), 2: ("image", "feature"), 3: ("patch", "y", "x"), 4: ("patch", "channel", "y", "x")}
_PICTURE = ("channel", "y", "x")


def chunk_file(store: Path, array: str, chunk: int, axes: int = 2) -> Path:
    """Where the bytes of a chunk of `array` (a pool, a map, ``mask`` or ``valid``) lie; axes: of the array."""
    behind = 0 if array == VALID else axes - 1
    return store.joinpath(array, "c", str(chunk), *["0"] * behind)


def record_file(store: Path, chunk: int) -> Path:
    """Where the record of a chunk lies."""
    return store.with_suffix(".chunks") / f"{chunk}.json"


def seal_file(store: Path) -> Path:
    """Where the seal of a store lies."""
    return store.with_suffix(".sealed.json")


def write_chunk(
    store: Path, chunk: int, arrays: dict[str, NDArray[Any]], record: dict[str, Any], chunks_per_shard: int = 1
) -> None:
    """Write one chunk of every array, whole ones of chunk_size rows each, and its record with their digests.

    chunks_per_shard: above 1, the file is a shard of so many chunks. The declared output is written last: behind a
    checkpoint Snakemake does not notice a killed job's leftovers.
    """
    started = time.perf_counter()
    encoded = {name: encode_chunk(values, chunks_per_shard) for name, values in arrays.items()}
    shapes = {name: list(values.shape) for name, values in arrays.items()}
    digests = {name: sha256_bytes(data) for name, data in encoded.items()}
    record = {"made_by": made_by(_device(record)), **record, **_sharded(chunks_per_shard), "chunk": chunk}
    record |= {"shapes": shapes, **_unusual(arrays), "sha256": digests}
    _write_record(store, chunk, record, started, sync=True)
    for name in sorted(encoded, key=lambda name: name != VALID):
        write_atomic(chunk_file(store, name, chunk, arrays[name].ndim), encoded[name])
    _write_record(store, chunk, record, started, sync=False)  # again, with the time that all writing took


def _device(record: dict[str, Any]) -> str:
    """Kind of device in the record's settings; cpu where no encoder made the store."""
    return str(record.get("settings", {}).get("device", "cpu"))


def _unusual(arrays: dict[str, NDArray[Any]]) -> dict[str, dict[str, str]]:
    """The dtypes for a record; empty for the usual ones, so that records from before the choice stay valid."""
    found = {name: values.dtype.name for name, values in arrays.items() if values.dtype != _DTYPES.get(name, _FEATURE)}
    return {"dtypes": found} if found else {}


def _dtype(record: dict[str, Any], name: str) -> np.dtype[Any]:
    """Type of an array, as a record says it."""
    usual = _DTYPES.get(name, _FEATURE)
    return np.dtype(str(record.get("dtypes", {}).get(name, usual)))


def _dimensions(name: str, axes: int, settings: dict[str, Any]) -> tuple[str, ...]:
    """Names of an array's axes; those of activations stand in the settings."""
    if name == ACTIVATIONS:
        return ("image", *settings["dimensions"])
    return ("image", *_PICTURE) if name == PIXELS else _DIMENSIONS[axes]


def _sharded(chunks_per_shard: int) -> dict[str, int]:
    return {"chunks_per_shard": chunks_per_shard} if chunks_per_shard > 1 else {}


def _write_record(store: Path, chunk: int, record: dict[str, Any], started: float, *, sync: bool) -> None:
    seconds = {**record.get("seconds", {}), "write": time.perf_counter() - started}
    write_atomic(record_file(store, chunk), signed_bytes({**record, "seconds": seconds}), sync=sync)


def seal(
    store: Path,
    n_images: int,
    shapes: dict[str, list[int]],
    facts: dict[str, Any],
    origins: dict[str, Any],
    chunks_per_shard: int = 1,
) -> dict[str, Any]:
    """Make a store of finished chunks one that can be opened; return the seal.

    shapes: shape of one chunk of every array. facts: plain data for the arrays' metadata and the seal. origins: plain
    data for the seal alone. chunks_per_shard: as the chunks were written with. Every chunk must be there and have the
    digest of its record; UnchokeError names the first that does not. Files of other chunkings and leftovers of killed
    jobs are removed. The root's metadata is written last.
    """
    n_chunks = chunk_count(n_images, shapes[VALID][0])
    _remove_strangers(store, set(shapes), n_chunks)
    (store / METADATA).unlink(missing_ok=True)
    digests: dict[str, list[str]] = {name: [] for name in shapes}
    first = read_record(store, 0)
    for chunk in range(n_chunks):
        record = read_record(store, chunk)
        said = {name: record.get(name, {}) for name in ("shapes", "dtypes")}
        if said != (expected := {"shapes": shapes, "dtypes": first.get("dtypes", {})}):
            raise damaged(store, chunk, record_file(store, chunk), str(said), str(expected))
        write_if_changed(record_file(store, chunk), signed_bytes(record), sync=False)  # of a version without digests
        for name in shapes:
            digests[name].append(check_digest(store, name, chunk, len(shapes[name]), record["sha256"][name]))
    group = MemoryGroup(facts)
    for name, shape in shapes.items():
        dtype, whole = _dtype(first, name), (n_images, *shape[1:])
        dimensions = _dimensions(name, len(shape), facts.get("settings", {}))
        create_array(group.root, name, whole, tuple(shape), dtype, dimensions, chunks_per_shard)
    write_metadata_last(contents := group.contents(), store)
    widths = {name: shape[1] for name, shape in shapes.items() if name != VALID}
    axes = {name: len(shape) for name, shape in shapes.items() if len(shape) > 2}
    unusual = {key: value for key, value in (("axes", axes), ("dtypes", first.get("dtypes"))) if value}
    record = {**facts, **origins, **unusual, **_sharded(chunks_per_shard), "images": n_images, "widths": widths}
    record |= {"chunk_size": shapes[VALID][0] // chunks_per_shard, "sha256": digests}
    record |= {"metadata": {key: sha256_bytes(data) for key, data in contents.items()}}
    write_atomic(seal_file(store), signed_bytes(record))
    return record


def read_record(store: Path, chunk: int) -> dict[str, Any]:
    """The record of a chunk; UnchokeError with the command that makes it where there is none, or it was changed."""
    path = record_file(store, chunk)
    if not path.exists():
        raise damaged(store, chunk, path, "no record of the chunk")
    try:
        return read_signed(path, "record", unsigned=lambda record: "sha256" in record)
    except UnchokeError:
        raise damaged(store, chunk, path, "a record with another digest than the one that it holds") from None


def read_chunk(store: Path, chunk: int) -> dict[str, NDArray[Any]]:
    """The arrays of one undamaged chunk; the store need not be sealed.

    Raises UnchokeError where a file is missing or changed.
    """
    record, arrays = read_record(store, chunk), {}
    for name, shape in record["shapes"].items():
        check_digest(store, name, chunk, len(shape), record["sha256"][name])
        data = chunk_file(store, name, chunk, len(shape)).read_bytes()
        arrays[name] = decode_chunk(data, tuple(shape), _dtype(record, name), record.get("chunks_per_shard", 1))
    return arrays


def check_digest(store: Path, name: str, chunk: int, axes: int, expected: str | None) -> str:
    """The digest of a chunk's file; UnchokeError where the file is missing, or has another digest than expected."""
    path = chunk_file(store, name, chunk, axes)
    if not path.is_file():
        raise damaged(store, chunk, path, "no file")
    if (found := sha256_bytes(path.read_bytes())) != expected:
        raise damaged(store, chunk, path, f"sha256 {found}", f"sha256 {expected}, as it was written")
    return found


def damaged(store: Path, chunk: int, path: Path, found: str, expected: str = "") -> UnchokeError:
    """The error that names a chunk which cannot be trusted, and the command that rebuilds it."""
    return UnchokeError(
        f"Chunk {chunk} of {store.stem} is missing or changed.",
        found=found,
        expected=expected,
        where=str(path),
        do=f"rebuild it and what depends on it, with your --configfile: "
        f"snakemake --cores all --forcerun {chunk_target(store, chunk)}",
    )


def chunk_target(store: Path, chunk: int) -> Path:
    """A file of a chunk that rules declare: forcing it makes the chunk again."""
    array, axes = _first_array(store)
    return chunk_file(store, array, chunk, axes)


def chunks_there(store: Path) -> set[int]:
    """Numbers of the chunks that have a record, or a file of the first array."""
    names = [entry.name.removesuffix(".json") for entry in _entries(store.with_suffix(".chunks"))]
    names += [entry.name for entry in _entries(store / _first_array(store)[0] / "c")]
    return {int(name) for name in names if name.isdecimal()}


def _first_array(store: Path) -> tuple[str, int]:
    """Name and number of axes of the array that rules name first, from any readable record; else those of ``avg``."""
    for record in store.with_suffix(".chunks").glob("[0-9]*.json"):
        try:
            shapes = {name: len(shape) for name, shape in read_json(record)["shapes"].items() if name != VALID}
            return min(shapes.items())
        except (UnchokeError, LookupError, TypeError, ValueError, AttributeError):
            continue  # the damaged record is skipped
    return "avg", 2


def _remove_strangers(store: Path, arrays: set[str], n_chunks: int) -> None:
    """Delete all but the chunks of this store: other pools, chunks beyond the last, links, leftovers of killed jobs."""
    strangers = [drafts_folder(store)]
    strangers += [entry for entry in _entries(store) if entry.is_dir() and entry.name not in arrays]
    for name in arrays:
        strangers += [entry for entry in _entries(store / name) if entry.name not in ("c", METADATA)]
        strangers += [entry for entry in _entries(store / name / "c") if not _numbered(entry.name, n_chunks)]
    folder = store.with_suffix(".chunks")
    strangers += [entry for entry in _entries(folder) if not _numbered(entry.name.removesuffix(".json"), n_chunks)]
    for stranger in strangers:
        _remove(stranger)
    for temporary in list(store.rglob(".*.tmp")):
        _remove(temporary)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _numbered(name: str, behind: int) -> bool:
    return name.isdecimal() and name == str(int(name)) and int(name) < behind


def _remove(path: Path) -> None:
    """Delete a file, a folder, or a link without its target; UnchokeError names a path that cannot be deleted."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UnchokeError(
            "What does not belong to a store cannot be deleted.",
            found=str(error.strerror or error),
            where=str(error.filename or path),
            do="delete it yourself, or change its permissions, and run the same command again",
        ) from error
