"""Small sealed stores with an origin, cut as a test wishes, for tests that compare them."""

from pathlib import Path
from typing import Any

import numpy as np

from unchoke.store import chunks
from unchoke.store.origin import write_origin

N, WIDTH, CHUNK = 21, 3, 4
X = np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float16)
HERE = {"host": "left", "device": "cpu: x", "commit": "abc"}


def write(path: Path, x_ND: np.ndarray = X, *, size: int = CHUNK, per_shard: int = 1, **more: Any) -> Path:
    """A sealed store in files of `size` rows, in chunks of size / per_shard; `invalid`: rows that are not valid."""
    valid = np.ones(len(x_ND), bool)
    valid[more.get("invalid", [])] = False
    whole = {"avg": x_ND * valid[:, None].astype(np.float16), "valid": valid, **more.get("arrays", {})}
    n_chunks = -(-len(x_ND) // size)
    settings = {"model": "tiny", "weights_sha256": "f00", "chunk_size": size, **more.get("settings", {})}
    for chunk in range(n_chunks):
        part = {name: values[chunk * size : (chunk + 1) * size] for name, values in whole.items()}
        padded = {
            name: np.pad(values, [(0, size - len(values)), *[(0, 0)] * (values.ndim - 1)])
            for name, values in part.items()
        }
        record = {"settings": settings, "made_by": more.get("made_by", {})}
        chunks.write_chunk(path, chunk, padded, record, per_shard)
    shapes = {name: list(values.shape) for name, values in padded.items()}
    rows = more.get("rows_sha256", [f"{chunk}" for chunk in range(n_chunks)])
    seal = chunks.seal(path, len(x_ND), shapes, {"settings": settings}, {"invalid": [], "rows_sha256": rows}, per_shard)
    write_origin(path, seal)
    return path


def changed(**by_place: float) -> np.ndarray:
    """The features with other values at places such as ``r5_1``."""
    x_ND = X.copy()
    for place, value in by_place.items():
        row, column = map(int, place[1:].split("_"))
        x_ND[row, column] = value
    return x_ND
