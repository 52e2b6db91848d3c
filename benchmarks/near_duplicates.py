"""How long, and with how much memory, are near duplicates found among 64-bit hashes?

Limit:  262,144 hashes, as many as PatchCamelyon has images, at radius 3 in 1 s and 200 MB, with every planted copy in
        the cluster of its original.

Random hashes, a tenth of them copies of others with at most 3 bits changed. Beside them the same with 100,000 hashes
that share a band of 16 bits, where plain banding would compare five billion pairs, and 4,000,000 hashes, without a
limit. One core. Memory is of each side in a process of its own: the most that was resident while it worked, less what
was before, with its imports done and its hashes there (Linux).
"""

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
from common import TIMING_HEADER, Limit, benchmark_parser, median_wall, report, time_in_turn, timing_cells
from numpy.typing import NDArray

from unchoke.cleaning.near_duplicates import near_clusters

RADIUS, COPIES, SHARING = 3, 0.1, 100_000
PCAM = 262_144
SIDES = {"as many as PCam": (PCAM, 0), "100,000 share a band": (PCAM, SHARING), "4,000,000": (4_000_000, 0)}
MAIN = next(iter(SIDES))


def draw_hashes(count: int, sharing: int) -> tuple[NDArray[np.uint64], int]:
    """`count` hashes and how many of them are originals; copy k of these follows them as row originals + k."""
    rng = np.random.default_rng(0)
    hash_N = rng.integers(0, 2**64, count, dtype=np.uint64)
    hash_N[:sharing] &= np.uint64(2**48 - 1)
    n_copies = int(count * COPIES)
    copy = hash_N[:n_copies].copy()
    for _ in range(RADIUS):
        copy ^= np.uint64(1) << rng.integers(0, 64, n_copies).astype(np.uint64)
    hash_N[count - n_copies :] = copy
    return hash_N, count - n_copies


def found_share(name: str) -> float:
    """Share of the planted copies that are in the cluster of their original."""
    hash_N, n_originals = draw_hashes(*SIDES[name])
    cluster_N = near_clusters(hash_N, RADIUS)
    return float(np.mean(cluster_N[n_originals:] == cluster_N[: len(hash_N) - n_originals]))


def resident_mb(field: str) -> float:
    """A figure of this process: VmRSS is resident now, VmHWM the most since it was last set back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def memory_of(name: str) -> float:
    """MB that the search adds to what is resident before it."""
    near_clusters(draw_hashes(1000, 0)[0], RADIUS)  # imports, and whatever is made once
    hash_N, _ = draw_hashes(*SIDES[name])
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back
    before_mb = resident_mb("VmRSS")
    near_clusters(hash_N, RADIUS)
    return resident_mb("VmHWM") - before_mb


def memory_apart(name: str) -> float:
    """``memory_of`` in a process of its own."""
    flags = [sys.executable, __file__, "--memory-of", name]
    done = subprocess.run(flags, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


def compare(args: argparse.Namespace) -> int:
    hashes = {name: draw_hashes(*side)[0] for name, side in SIDES.items()}
    times = time_in_turn({name: partial(near_clusters, hashes[name], RADIUS) for name in SIDES}, args.rounds)
    memory = {name: memory_apart(name) for name in SIDES}
    found = {name: found_share(name) for name in SIDES}
    table = [["", *TIMING_HEADER, "added MB", "copies found"]]
    for name, runs in times.items():
        table.append([name, *timing_cells(runs), f"{memory[name]:.0f}", f"{found[name]:.1%}"])
    wall = median_wall(times[MAIN])
    limits = [
        Limit(f"seconds for {PCAM:,} hashes", f"{wall:.2f}", "1.00", wall <= 1),
        Limit(f"MB for {PCAM:,} hashes", f"{memory[MAIN]:.0f}", "200", memory[MAIN] <= 200),
        Limit(
            "least share of planted copies that are found",
            f"{min(found.values()):.1%}",
            "100 %",
            min(found.values()) == 1,
        ),
    ]
    return report(args, table, limits, {"times": times, "memory_mb": memory, "copies_found": found})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times that each side is measured")
    parser.add_argument("--memory-of", choices=SIDES, help="measure the memory of this side alone, in this process")
    args = parser.parse_args()
    if args.memory_of:
        print(json.dumps(memory_of(args.memory_of)))
        return 0
    return compare(args)


if __name__ == "__main__":
    sys.exit(main())
