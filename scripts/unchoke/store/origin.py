"""The origin of a sealed store: settings, weights, releases, commit, hosts and devices, in a file beside the seal.

    <store>.origin.json     written by the seal's command from the records of the chunks

The seal's bytes depend on data and settings alone, so that two machines give the same. Facts of the machine are here
instead; this file may differ between two runs.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unchoke.errors import mend
from unchoke.files import file_sha256, write_atomic
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.machine.releases import made_by
from unchoke.signed import read_signed, signed_bytes
from unchoke.store import chunks
from unchoke.store.zarr_bytes import METADATA

LOSS = 0.01  # share of a feature's deviation that rounding errors may reach
_COARSENED = 0.01  # share of coarse features from which on a warning is printed
LONGEST_LIST = 8  # makers of one store that a text names
_SAID_OF_SETTINGS = (
    "model",
    "weights_sha256",
    "version",
    "precision",
    "store",
    "image_size",
    "view",
    "micro_batch",
    "compiled_threads",
)
_SAID_OF_MAKERS = ("host", "device", "commit", "unchoke", "torch", "timm", "zarr", "simplejpeg", "python", "platform")


def origin_file(store: Path) -> Path:
    """Where the origin of a store lies."""
    return store.with_suffix(".origin.json")


def write_origin(store: Path, seal: dict[str, Any]) -> dict[str, Any]:
    """Write the origin of a newly sealed store from its chunks' records, and return it."""
    n_chunks = len(seal["sha256"][chunks.VALID])
    makers = (by for chunk in range(n_chunks) for by in _makers(chunks.read_record(store, chunk)))
    origin = {
        "seal_sha256": file_sha256(chunks.seal_file(store)),
        "settings": seal["settings"],
        "seal_version": seal.get("version"),
        "made": group_makers(makers),
        "rounding": judge_rounding(store, n_chunks),
        "sealed": {**made_by("cpu"), "time": time.strftime("%FT%TZ", time.gmtime())},
    }
    write_atomic(origin_file(store), signed_bytes(origin))
    return origin


def _makers(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """``made_by`` of a chunk, or of each chunk of a shard."""
    for group in record.get("makers", [{"chunks": 1, "by": record.get("made_by", {})}]):
        yield from repeat(group["by"], group["chunks"])


def group_makers(makers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The different makers, each with its number of chunks and its first chunk; in the order of the first chunks.

    makers: ``made_by`` of every chunk; empty if the record has none.
    """
    groups: dict[str, dict[str, Any]] = {}
    for chunk, by in enumerate(makers):
        group = groups.setdefault(canonical_json(by), {"chunks": 0, "first_chunk": chunk, "by": by})
        group["chunks"] += 1
    return list(groups.values())


def sum_rounding(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By pool, the squared errors of ``features.images.rounding_of`` summed over records."""
    total: dict[str, dict[str, float]] = {}
    for record in records:
        for pool, errors in record.get("rounding_errors", {}).items():
            before = total.setdefault(pool, {})
            for place, error in errors.items():
                before[place] = before.get(place, 0.0) + error
    return total


def judge_rounding(store: Path, n_chunks: int) -> dict[str, dict[str, int]]:
    """By pool, the number of features, and of those whose rounding errors exceed a hundredth of their deviation.

    The deviation is taken over all valid rows, since a chunk of one class has too little variance. The variance within
    a chunk is at most the variance over all rows. So only features that some chunk's record names can be coarse, and
    only these are read.
    """
    errors = sum_rounding(chunks.read_record(store, chunk) for chunk in range(n_chunks))
    found = {}
    for pool, by_place in errors.items():
        width = chunks.read_record(store, 0)["shapes"][pool][1]
        coarse = 0
        if by_place:
            places = np.array(sorted(map(int, by_place)))
            squares = np.array([by_place[str(place)] for place in places])
            coarse = int((squares > LOSS**2 * _squares(store, pool, places, n_chunks)).sum())
        found[pool] = {"features": width, "coarsened": coarse}
    return found


def _squares(store: Path, pool: str, places: NDArray[np.int64], n_chunks: int) -> NDArray[np.float64]:
    """Sum of the squared differences from the mean, (D,), of some features of a pool over all valid rows."""
    count, mean_D, square_D = 0, np.zeros(len(places)), np.zeros(len(places))
    for chunk in range(n_chunks):  # joined by the formula of Chan et al. (1979)
        arrays = chunks.read_chunk(store, chunk)
        values = arrays[pool][arrays[chunks.VALID]][:, places].astype(np.float64)
        more = values.size // len(places)
        if not more:
            continue
        axes = (0, *range(2, values.ndim))
        step_D = values.mean(axes) - mean_D
        square_D += values.var(axes) * more + step_D**2 * count * more / (count + more)
        mean_D += step_D * more / (count + more)
        count += more
    return square_D


def rounding_warnings(origin: dict[str, Any]) -> list[str]:
    """A line for each pool in which a hundredth of the features or more are coarse."""
    return [
        f"{origin['settings'].get('store', 'float16')} costs {counts['coarsened']:,} of the {counts['features']:,} "
        f"features of {pool} more than a hundredth of their deviation: heads may lose accuracy; "
        "encoders.<name>.store: float32 keeps them"
        for pool, counts in origin.get("rounding", {}).items()
        if counts["coarsened"] and counts["coarsened"] >= _COARSENED * counts.get("features", np.inf)
    ]


def read_origin(store: Path) -> dict[str, Any]:
    """The origin of a sealed store; empty where there is none, or only the origin of an earlier seal."""
    if not origin_file(store).exists():
        return {}
    do = mend(store / METADATA)
    origin = read_signed(origin_file(store), "origin of a store", do, unsigned=lambda content: "made" in content)
    return origin_of_seal(origin, chunks.seal_file(store).read_bytes())


def origin_of_seal(origin: dict[str, Any], seal: bytes) -> dict[str, Any]:
    """`origin`; empty where it belongs to another seal. seal: the bytes of the seal's file."""
    return origin if origin["seal_sha256"] == sha256_bytes(seal) else {}


def origin_text(origin: dict[str, Any]) -> str:
    """An origin for a terminal, a line for the settings and one for each machine that made chunks."""
    if not origin:
        return "what made it is not recorded: it was sealed by an older version"
    lines = [_said("settings", origin["settings"], _SAID_OF_SETTINGS)]
    for group in origin["made"][:LONGEST_LIST]:
        lines.append(_said(f"{group['chunks']:,} chunks from {group['first_chunk']}", group["by"], _SAID_OF_MAKERS))
    if (more := len(origin["made"]) - LONGEST_LIST) > 0:
        lines.append(f"and {more} more makers")
    lines += [f"warning: {text}" for text in rounding_warnings(origin)]
    lines.append(_said(f"sealed {origin['sealed']['time']}", origin["sealed"], ("host", "commit", "unchoke")))
    return "\n".join(lines)


def _said(subject: str, facts: dict[str, Any], names: Iterable[str]) -> str:
    return f"{subject}: {', '.join(_pairs(facts, names)) or 'not recorded'}"


def _pairs(facts: dict[str, Any], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if facts.get(name) is not None:
            yield f"{name} {facts[name]}"
