"""How long, and with how much memory, are near images found among features? And are they those of brute force?

Limit:  peak of at most 2 GB for 262,144 × 1,280 float16; the same neighbours as scikit-learn's brute force on 20,000.

Features are drawn, of two kinds. `clustered`: 500 classes around a common axis, in directions that weigh less and less,
as features of photographs are. `isotropic`: Gaussian, all directions alike, the worst case for a search that compares
few directions first. Of either kind 5 % are copies of others with noise, at a cosine of about 0.98. They are written to
a Zarr store in chunks of 64 rows, as extraction writes them, and read from there. Each size runs in a process of its
own; memory is the most that was resident, with Python, torch and the imports. `s a pair of 2**20` is the time by the
number of pairs: where it does not grow with the rows, time goes with the square of the rows. The peers take the rows in
float32 from memory: scikit-learn's NearestNeighbors by radius and cosine, and IndexFlatIP of faiss, where it is
installed (pip install faiss-cpu), by range_search.
"""

import argparse
import contextlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from common import Limit, benchmark_parser, processor_s, report
from near_duplicates import resident_mb
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

from unchoke.inspection.near import near_in_features

WIDTH, CHUNK, COPIES, COSINE, PCAM, PEER = 1280, 64, 0.05, 0.95, 262_144, 20_000
NOISE, BLOCK, QUERIES = 0.2, 1024, 1024
CLASSES, AXIS, DECAY = 500, 0.5, 0.6
"""Of `clustered`: the share of a row's square that all rows share, and the power by which directions weigh less."""
KINDS = ("clustered", "isotropic")
Floats = NDArray[np.float32]


class Drawn:
    """Rows of a kind, each by its number."""

    def __init__(self, kind: str) -> None:
        rng, self._clustered = np.random.default_rng(0), kind == "clustered"
        self._weight_D = np.arange(1, WIDTH + 1, dtype=np.float32) ** -DECAY
        self._weight_D /= np.linalg.norm(self._weight_D)
        self._centre_CD = rng.standard_normal((CLASSES, WIDTH), np.float32)
        self._axis_D = rng.standard_normal(WIDTH, np.float32)
        self._turn_DD = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH), np.float32))[0]

    def rows(self, number_B: NDArray[np.int64]) -> Floats:
        """Rows (B, WIDTH) of about length 1."""
        own_BD = _normal(number_B, 0)
        if not self._clustered:
            return own_BD / np.float32(WIDTH**0.5)
        mixed_BD = (self._centre_CD[number_B % CLASSES] + own_BD) * self._weight_D / np.float32(2**0.5)
        axis_D = self._axis_D / np.linalg.norm(self._axis_D)
        return np.float32(AXIS**0.5) * axis_D + np.float32((1 - AXIS) ** 0.5) * (mixed_BD @ self._turn_DD)

    def copies(self, number_B: NDArray[np.int64], origin_B: NDArray[np.int64]) -> Floats:
        """Rows of `origin_B` with noise that has the numbers `number_B`."""
        return self.rows(origin_B) + np.float32(NOISE / WIDTH**0.5) * _normal(number_B, 1)


def _normal(row_B: NDArray[np.int64], stream: int) -> Floats:
    rows = [np.random.default_rng([stream, int(row)]).standard_normal(WIDTH, np.float32) for row in row_B]
    return np.stack(rows) if rows else np.empty((0, WIDTH), np.float32)


def write_features(path: Path, rows: int, drawn: Drawn) -> None:
    """Rows of features, float16, the last ``COPIES`` of them copies of the first with noise."""
    array = zarr.create_array(path, shape=(rows, WIDTH), chunks=(CHUNK, WIDTH), dtype="float16")
    first_copy = rows - int(COPIES * rows)
    for start in range(0, rows, BLOCK):
        number = np.arange(start, min(start + BLOCK, rows))
        own, copied = number[number < first_copy], number[number >= first_copy]
        block = np.concatenate([drawn.rows(own), drawn.copies(copied, copied - first_copy)])
        array[start : start + len(block)] = block.astype(np.float16)


def search(path: Path, threads: int) -> dict[str, float]:
    """Seconds, peak MB and clusters of one size, in this process."""
    torch.set_num_threads(threads)
    stored = zarr.open_array(path, mode="r")
    started, busy = time.perf_counter(), processor_s()
    with contextlib.redirect_stdout(sys.stderr):
        cluster_N = near_in_features(stored, np.ones(stored.shape[0], bool), COSINE, torch.device("cpu"))
    seconds, busy = time.perf_counter() - started, processor_s() - busy
    copies = int(COPIES * len(cluster_N))
    found = float((cluster_N[-copies:] == np.arange(copies)).mean())
    clusters = int((np.bincount(cluster_N) > 1).sum())
    peak = resident_mb("VmHWM")
    return {"seconds": seconds, "busy_s": busy, "peak_mb": peak, "copies_found": found, "clusters": clusters}


def by_sklearn(x_ND: Floats, threads: int) -> csr_array:
    nearest = NearestNeighbors(radius=1 - COSINE, metric="cosine", algorithm="brute", n_jobs=threads).fit(x_ND)
    return csr_array(nearest.radius_neighbors_graph(x_ND))


def by_faiss(x_ND: Floats, threads: int) -> csr_array:
    import faiss

    faiss.omp_set_num_threads(threads)
    unit_ND = x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(unit_ND)
    starts, places = [np.zeros(1, np.int64)], []
    for start in range(0, len(x_ND), QUERIES):
        limits, _, found = index.range_search(unit_ND[start : start + QUERIES], COSINE)
        starts.append(limits[1:].astype(np.int64) + starts[-1][-1])
        places.append(found)
    found = np.concatenate(places)
    return csr_array((np.ones(len(found)), found, np.concatenate(starts)), shape=(len(x_ND),) * 2)


def peer(path: Path, find: Callable[[Floats], csr_array]) -> tuple[float, float, bool]:
    """Seconds and processor seconds of a peer on the rows of a store, and whether its components are ours."""
    x_ND = np.asarray(zarr.open_array(path, mode="r")[:]).astype(np.float32)
    started, busy = time.perf_counter(), processor_s()
    label_N = connected_components(find(x_ND), directed=False)[1]
    seconds, busy = time.perf_counter() - started, processor_s() - busy
    ours_N = near_in_features(x_ND.astype(np.float16), np.ones(len(x_ND), bool), COSINE, torch.device("cpu"))
    first_N = np.unique(label_N, return_index=True)[1][label_N]
    return seconds, busy, bool((first_N == ours_N).all())


def apart(path: Path, threads: int) -> dict[str, float]:
    """``search`` in a process of its own, which says on the terminal how far it is."""
    flags = [sys.executable, __file__, "--search", str(path), "--threads", str(threads)]
    done = subprocess.run(flags, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def cells_of(rows: int, seconds: float, busy: float) -> list[str]:
    """Minutes, processor seconds, and seconds by 2**20 pairs."""
    return [f"{seconds / 60:.2f}", f"{busy:.0f}", f"{seconds / (rows * (rows - 1) / 2**21):.4f}"]


def compare(args: argparse.Namespace, folder: Path) -> int:
    torch.set_num_threads(args.threads)
    sides = {"scikit-learn": partial(by_sklearn, threads=args.threads)}
    if importlib.util.find_spec("faiss"):
        sides["faiss"] = partial(by_faiss, threads=args.threads)
    table = [["rows", "minutes", "processor s", "s a pair of 2**20", "peak MB", "copies found"]]
    figures: dict[str, Any] = {}
    for kind in args.kinds:
        drawn = Drawn(kind)
        for rows in sorted({*args.rows, args.peer_rows}):
            name, path = f"{rows:,} {kind}", folder / f"{kind}-{rows}.zarr"
            write_features(path, rows, drawn)
            found = figures[name] = apart(path, args.threads)
            last = [f"{found['peak_mb']:.0f}", f"{found['copies_found']:.1%}"]
            table.append([name, *cells_of(rows, found["seconds"], found["busy_s"]), *last])
            for side, find in sides.items() if rows == args.peer_rows else ():
                seconds, busy, same = peer(path, find)
                figures[f"{name}, {side}"] = {"seconds": seconds, "busy_s": busy, "same": same}
                table.append([f"{name}, {side}", *cells_of(rows, seconds, busy), "", "the same" if same else "OTHERS"])
    peak = max(one.get("peak_mb", 0) for one in figures.values())
    limits = [Limit("peak MB", f"{peak:.0f}", "2048", peak <= 2048)]
    for name, one in figures.items():
        if "same" in one:
            limits.append(Limit(f"clusters of {name} are ours", str(one["same"]), "True", one["same"]))
    return report(args, table, limits, figures)


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[65_536, PCAM], help="sizes to run")
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS, help="features to draw")
    parser.add_argument("--peer-rows", type=int, default=PEER, help="size at which the peers run too")
    parser.add_argument("--threads", type=int, default=2, help="threads of either side")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.search:
        print(json.dumps(search(args.search, args.threads)))
        return 0
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as folder:
        return compare(args, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
