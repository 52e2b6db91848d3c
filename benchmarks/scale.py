"""What do a million images cost Snakemake, as one-chunk jobs and as shards of 256 chunks?

Peer:   one-chunk jobs, which is how the same rows run where chunks_per_shard is 1.
Limit:  by shards: 10 s and 500 MB for `snakemake -n`, with all shards still to be made, and 1 ms of orchestration for
        every 64 images; as for one-chunk jobs, all jobs done.

1,048,576 rows of an array of one pixel each, in chunks of 64: 16,384 one-chunk jobs, or 64 shards of 256 chunks. The
workflow is the real one, its manifest and its warm worker too, but the commands that encode and seal only write the
files that they are expected to, of a few bytes. Manifest, weights and memory plan are made first, and the time of the
manifest is printed by itself. What is asked for is the sealed store: jobs of chunks or shards, and the seal. The time
for 64 images is that of the whole run, Snakemake's start included, over the number of chunks.

Peaks are of the largest of Snakemake's processes. Files are those below results and logs, and Snakemake's own records,
when the run has ended; a real shard has a file for each of its finished chunks until it is whole. --batches makes the
one-chunk jobs once more in so many parts, each an invocation of its own, and prints the largest of their peaks.
"""

import argparse
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from clones import Clone, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, report
from orchestration import ENCODER, NAME, Cost, measure_run, replace_commands

CHUNK_SIZE = 64
STORE = f"results/{NAME}/features/encoder"
SEALED = f"{STORE}.sealed.json"
PLAN = f"results/{NAME}/plans/encoder.json"
RUN = ("--cores", "2", "--resources", "gpu=1")


class Side(NamedTuple):
    """What one way to cut the rows cost."""

    jobs: int
    graph: Cost
    """``snakemake -n`` before any of the jobs has run."""
    run: Cost
    idle: Cost
    """``snakemake -n`` when all is done."""
    files: dict[str, int]
    """How many there are when all is done, by the folder that they are in."""


def write_array(folder: Path, n_rows: int) -> None:
    """One pixel a row, and two labels."""
    folder.mkdir(parents=True)
    np.save(folder / "x.npy", np.zeros((n_rows, 1, 1, 3), np.uint8))
    np.save(folder / "y.npy", np.arange(n_rows) % 2)


def configure(clone: Clone, images: Path, chunks_per_shard: int) -> None:
    dataset = {"kind": "npy", "path": str(images), "images": "x.npy", "labels": "y.npy"}
    clone.configure(
        NAME,
        dataset=dataset,
        encoders={"encoder": ENCODER},
        heads={},
        cleaning=None,
        chunk_size=CHUNK_SIZE,
        chunks_per_shard=chunks_per_shard,
    )


def prepare(clone: Clone, images: Path) -> float:
    """Make what both sides share; seconds of the manifest, Snakemake's start included."""
    configure(clone, images, 1)
    started = time.perf_counter()
    clone.snakemake(NAME, f"results/{NAME}/manifest.csv", *RUN)
    seconds = time.perf_counter() - started
    clone.snakemake(NAME, PLAN, *RUN)
    replace_commands(clone)
    return seconds


def measure_side(clone: Clone, images: Path, n_rows: int, chunks_per_shard: int) -> Side:
    """Make the whole store in one run, as if there were none before."""
    forget(clone)
    configure(clone, images, chunks_per_shard)
    graph = measure_run(clone, "-n", SEALED, *RUN)
    run = measure_run(clone, SEALED, *RUN)
    made = len(list((clone.folder / f"{STORE}.zarr/avg/c").iterdir()))
    expected = -(-n_rows // (CHUNK_SIZE * chunks_per_shard))
    if made != expected:
        raise RuntimeError(f"{made:,} files of features, expected {expected:,}")
    return Side(made, graph, run, measure_run(clone, "-n", SEALED, *RUN), count_files(clone))


def forget(clone: Clone) -> None:
    """Remove the store and what Snakemake knows of it, and nothing of the manifest."""
    shutil.rmtree(clone.results(NAME) / "features", ignore_errors=True)
    shutil.rmtree(clone.folder / "logs", ignore_errors=True)


def count_files(clone: Clone) -> dict[str, int]:
    """Files by where they lie; what Snakemake records of former runs is counted with what it records of this one."""
    places = {
        "rows": clone.results(NAME) / "rows",
        "features": clone.results(NAME) / "features",
        "logs": clone.folder / "logs",
        ".snakemake": clone.folder / ".snakemake",
    }
    return {name: sum(path.is_file() for path in folder.rglob("*")) for name, folder in places.items()}


def measure_batches(clone: Clone, images: Path, batches: int) -> list[Cost]:
    """The one-chunk jobs in parts: every invocation plans its own chunks alone, and the last one seals as well."""
    forget(clone)
    configure(clone, images, 1)
    parts = [f"seal_features={part}/{batches}" for part in range(1, batches + 1)]
    costs = [measure_run(clone, SEALED, *RUN, "--batch", part) for part in parts]
    if not (clone.folder / SEALED).exists():
        raise RuntimeError(f"no {SEALED} after {batches} batches")
    return costs


def compare(args: argparse.Namespace, clone: Clone, folder: Path) -> int:
    write_array(folder / "images", args.rows)
    manifest_s = prepare(clone, folder / "images")
    measure = partial(measure_side, clone, folder / "images", args.rows)
    # Shards first: Snakemake's records of them are few, those of chunks are many.
    shards, chunks = measure(args.chunks_per_shard), None if args.shards_only else measure(1)
    batches = measure_batches(clone, folder / "images", args.batches) if args.batches else []
    n_chunks = -(-args.rows // CHUNK_SIZE)
    table = [["", "shards", "chunks"]]
    sides = [shards, chunks]
    forms = {
        "jobs": lambda side: f"{side.jobs:,}",
        "graph": lambda side: f"{side.graph.wall_s:.1f} s",
        "graph, peak": lambda side: f"{side.graph.peak_mb:.0f} MB",
        "run": lambda side: f"{side.run.wall_s:.1f} s",
        "run, peak": lambda side: f"{side.run.peak_mb:.0f} MB",
        "run / job": lambda side: f"{side.run.wall_s / side.jobs * 1e3:.1f} ms",
        "run / 64 images": lambda side: f"{side.run.wall_s / n_chunks * 1e3:.2f} ms",
        "nothing to do": lambda side: f"{side.idle.wall_s:.1f} s",
        **{f"files, {place}": partial(count, place) for place in shards.files},
    }
    table += [[name, *(form(side) if side else "" for side in sides)] for name, form in forms.items()]
    table.append(["manifest", f"{manifest_s:.1f} s", ""])
    if batches:
        wall_s, peak_mb = sum(cost.wall_s for cost in batches), max(cost.peak_mb for cost in batches)
        table.append([f"{args.batches} batches", "", f"{wall_s:.1f} s, {peak_mb:.0f} MB"])
    a_chunk_ms = shards.run.wall_s / n_chunks * 1e3
    limits = [
        Limit("graph of shards", f"{shards.graph.wall_s:.1f} s", "10 s", shards.graph.wall_s < 10),
        Limit("graph of shards, peak", f"{shards.graph.peak_mb:.0f} MB", "500 MB", shards.graph.peak_mb < 500),
        Limit("64 images by shards", f"{a_chunk_ms:.2f} ms", "1 ms", a_chunk_ms <= 1),
    ]
    figures = {"shards": shards, "chunks": chunks, "batches": batches, "manifest_s": manifest_s, "rows": args.rows}
    return report(args, table, limits, figures)


def count(place: str, side: Side) -> str:
    return f"{side.files[place]:,}"


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_048_576, help="images")
    parser.add_argument("--chunks-per-shard", type=int, default=256, help="chunks of a shard")
    parser.add_argument("--batches", type=int, default=0, help="parts to run the one-chunk jobs in once more")
    parser.add_argument("--shards-only", action="store_true", help="leave the one-chunk jobs out")
    args = parser.parse_args()
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        return compare(args, clone, folder)


if __name__ == "__main__":
    sys.exit(main())
