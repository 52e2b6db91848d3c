"""How long, and with how much memory, are near images found among features? And are they those of brute force?

Limit:  peak of at most 2 GB for 262,144 × 1,280 float16; the same neighbours as scikit-learn's brute force on 20,000.

Features are drawn: Gaussian rows, of which 5 % are copies of others with noise, at a cosine of about 0.98. They are
written to a Zarr store in chunks of 64 rows, as extraction writes them, and read from there a block at a time. Each
size runs in a process of its own; memory is the most that was resident, with Python, torch and the imports. Time goes
with the square of the rows: from the largest size that was run, --rows follow by the square of the ratio, and the table
says so. scikit-learn's NearestNeighbors takes the first 20,000 rows in float32, by radius and cosine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import zarr
from common import Limit, benchmark_parser, report
from near_duplicates import resident_mb
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

from unchoke.inspection.near import near_in_features

WIDTH, CHUNK, COPIES, COSINE, PCAM, PEER = 1280, 64, 0.05, 0.95, 262_144, 20_000
NOISE = 0.2


def write_features(path: Path, rows: int) -> None:
    """Rows of features, float16, the last ``COPIES`` of them copies of the first with noise."""
    array = zarr.create_array(path, shape=(rows, WIDTH), chunks=(CHUNK, WIDTH), dtype="float16")
    copies = int(COPIES * rows)
    for start in range(0, rows, 16 * CHUNK):
        stop = min(start + 16 * CHUNK, rows)
        block = _drawn(np.arange(start, stop), 0)
        copied = np.arange(start, stop) >= rows - copies
        origin = np.arange(start, stop)[copied] - (rows - copies)
        block[copied] = _drawn(origin, 0) + NOISE * _drawn(np.arange(start, stop)[copied], 1)
        array[start:stop] = block.astype(np.float16)


def _drawn(row_B: NDArray[np.int64], stream: int) -> NDArray[np.float32]:
    rows = [np.random.default_rng([stream, int(row)]).standard_normal(WIDTH, np.float32) for row in row_B]
    return np.stack(rows) if rows else np.empty((0, WIDTH), np.float32)


def search(path: Path, threads: int) -> dict[str, float]:
    """Seconds, peak MB and clusters of one size, in this process."""
    torch.set_num_threads(threads)
    stored = zarr.open_array(path, mode="r")
    started = time.perf_counter()
    cluster_N = near_in_features(stored, np.ones(stored.shape[0], bool), COSINE, torch.device("cpu"))
    seconds = time.perf_counter() - started
    copies = int(COPIES * len(cluster_N))
    found = float((cluster_N[-copies:] == np.arange(copies)).mean())
    clusters = int((np.bincount(cluster_N) > 1).sum())
    return {"seconds": seconds, "peak_mb": resident_mb("VmHWM"), "copies_found": found, "clusters": clusters}


def peer(path: Path, threads: int) -> tuple[float, bool]:
    """Seconds of scikit-learn on the rows of a store, and whether its components are ours."""
    x_ND = np.asarray(zarr.open_array(path, mode="r")[:]).astype(np.float32)
    started = time.perf_counter()
    nearest = NearestNeighbors(radius=1 - COSINE, metric="cosine", algorithm="brute", n_jobs=threads).fit(x_ND)
    graph = nearest.radius_neighbors_graph(x_ND)
    label_N = connected_components(graph, directed=False)[1]
    seconds = time.perf_counter() - started
    ours_N = near_in_features(x_ND.astype(np.float16), np.ones(len(x_ND), bool), COSINE, torch.device("cpu"))
    first_N = np.unique(label_N, return_index=True)[1][label_N]
    return seconds, bool((first_N == ours_N).all())


def apart(path: Path, threads: int) -> dict[str, float]:
    """``search`` in a process of its own."""
    flags = [sys.executable, __file__, "--search", str(path), "--threads", str(threads)]
    done = subprocess.run(flags, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(args: argparse.Namespace, folder: Path) -> int:
    figures, table = {}, [["rows", "minutes", "peak MB", "copies found"]]
    for rows in args.rows:
        write_features(folder / f"{rows}.zarr", rows)
        found = figures[str(rows)] = apart(folder / f"{rows}.zarr", args.threads)
        cells = (f"{found['seconds'] / 60:.2f}", f"{found['peak_mb']:.0f}", f"{found['copies_found']:.1%}")
        table.append([f"{rows:,}", *cells])
    largest = max(args.rows)
    if largest < PCAM:
        minutes = figures[str(largest)]["seconds"] / 60 * (PCAM / largest) ** 2
        table.append([f"{PCAM:,}, extrapolated from {largest:,}", f"{minutes:.0f}", "", ""])
    write_features(folder / "peer.zarr", PEER)
    ours, (seconds, same) = apart(folder / "peer.zarr", args.threads), peer(folder / "peer.zarr", args.threads)
    table.append([f"{PEER:,}", f"{ours['seconds'] / 60:.2f}", f"{ours['peak_mb']:.0f}", f"{ours['copies_found']:.1%}"])
    table.append([f"{PEER:,}, scikit-learn", f"{seconds / 60:.2f}", "", "the same" if same else "OTHERS"])
    peak = max(found["peak_mb"] for found in figures.values())
    limits = [
        Limit("peak MB", f"{peak:.0f}", "2048", peak <= 2048),
        Limit(f"clusters of {PEER:,} are scikit-learn's", str(same), "True", same),
    ]
    return report(args, table, limits, {"ours": figures, "peer": {"ours": ours, "seconds": seconds, "same": same}})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[65_536, PCAM], help="sizes to run")
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
