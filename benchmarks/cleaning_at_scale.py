"""What does it cost to fingerprint and to clean the images of an HDF5 file as large as PatchCamelyon's?

Peer:   hash_loop.py, one process that reads the rows in slices of 1,024 and hashes each with XXH3-128. No way of
        finding exact copies reads less.
Limit:  at most 3 × the loop, from `snakemake` to findings.csv and selection.csv on 2 cores; under 1,024 MB resident for
        all processes of the run together (Snakemake included); exact copies found with precision and recall 1.0.

The file is made first: --images × 96 × 96 × 3 bytes, uncompressed, 7.2 GB; an eighth of the images where the disk has
not 2.5 times that free. It holds smooth pictures with noise, no two alike but for 2 % exact copies, 1 % copies in which
one value differs by one, and a few blank ones; labels; and a table of slides. Which rows are copies is known, and the
copies in which a value differs must not be among those that are found.

The manifest, which needs labels and slides alone, is made before, and its time is printed by itself. Both sides find
the file on the disk: what the system holds of it in memory is dropped before each (posix_fadvise, after fsync), so that
reading it is part of both. The stages' times are those at which their files were written; fingerprinting holds
Snakemake's start. Memory is sampled every 0.05 s, and what processes share counts for each. So is processor time, which
a busy machine moves less than the seconds on the clock.

With fewer images both times are scaled to all of them, less what the same call takes when nothing is left to do, which
does not grow with them. The start of a job's Python is scaled with the rest, on both sides.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from clones import Clone, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, report
from numpy.typing import NDArray
from process_tree import MB, Taken, watch

from unchoke.store import tables

SIDE, POOL = 96, 1024  # px; halves that rows are made of
BLOCK = 128  # rows written at a time
COPIES, NEARLY, BLANK = 0.02, 0.01, 0.001  # shares of the rows
SLIDE = 1024  # rows of one slide
ALL = 262_144  # images that PatchCamelyon trains on
ROOM = 2.5  # times the file's size that the disk must have free
CORES = 2
SIDES = {"manifest": "manifest", "loop": "loop", "idle": "cleaning, nothing to do", "cleaning": "cleaning"}
FILE, LOOP = "images.h5", Path(__file__).with_name("hash_loop.py")


@dataclass(frozen=True)
class Plan:
    """Which rows show what; every array has one value a row."""

    picture_N: NDArray[np.int64]
    """Number of the picture: rows with the same one have the same pixels, but for those of ``changed_N``."""
    changed_N: NDArray[np.bool_]
    """Whether one value is changed by one."""
    blank_N: NDArray[np.bool_]

    @property
    def copies(self) -> set[tuple[int, int]]:
        """Pairs of rows with the same pixels, the smaller first."""
        rows = pd.Series(np.arange(len(self.picture_N)))[~self.changed_N]
        clusters = rows.groupby(self.picture_N[~self.changed_N])
        return {pair for _, cluster in clusters if len(cluster) > 1 for pair in combinations(cluster, 2)}


def plan_rows(n_images: int) -> Plan:
    """Copies, changed copies and blank rows, drawn from seed 0; a copy's original is neither."""
    rng = np.random.default_rng(0)
    drawn = rng.permutation(n_images)
    bounds = np.cumsum([round(share * n_images) for share in (COPIES, NEARLY, BLANK)])
    copy, changed, blank, plain = np.split(drawn, bounds)
    picture_N, changed_N, blank_N = np.arange(n_images), np.zeros(n_images, bool), np.zeros(n_images, bool)
    picture_N[copy] = rng.choice(plain, len(copy))
    picture_N[changed] = rng.choice(plain, len(changed), replace=False)
    changed_N[changed] = blank_N[blank] = True
    return Plan(picture_N, changed_N, blank_N)


def draw_halves() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Halves of smooth pictures in the colours of stained tissue, with noise: (POOL, SIDE, SIDE, 3), 0 to 127; and the
    same mirrored."""
    rng = np.random.default_rng(1)
    coarse = rng.normal(0, 1, (POOL, SIDE // 8 + 1, SIDE // 8 + 1, 3)).astype(np.float32)
    place = np.arange(SIDE) / 8
    near, share = place.astype(int), (place % 1).astype(np.float32)
    down = coarse[:, near] * (1 - share)[:, None, None] + coarse[:, near + 1] * share[:, None, None]
    smooth = down[:, :, near] * (1 - share)[:, None] + down[:, :, near + 1] * share[:, None]
    smooth += rng.normal(0, 0.2, smooth.shape).astype(np.float32)
    half = np.clip((np.float32([200, 140, 180]) + 40 * smooth) / 2, 0, 127).astype(np.uint8, order="C")
    return half, np.ascontiguousarray(half[:, :, ::-1])


def pixels_of(rows: slice, plan: Plan, half: NDArray[np.uint8], mirrored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels of some rows: the sum of one half and of another, mirrored; no two pictures have the same halves."""
    picture_B = plan.picture_N[rows]
    first_B = picture_B % POOL
    second_B = (first_B + 1 + picture_B // POOL) % POOL
    rgb_BHW3 = half[first_B]
    rgb_BHW3 += mirrored[second_B]
    rgb_BHW3[plan.changed_N[rows], SIDE // 2, SIDE // 2, 1] ^= 1
    for place in np.flatnonzero(plan.blank_N[rows]):
        noise = np.random.default_rng(int(picture_B[place])).integers(0, 2, (SIDE, SIDE, 3), np.uint8)
        rgb_BHW3[place] = 240 + noise
    return rgb_BHW3


def write_file(folder: Path, plan: Plan) -> None:
    """The images and labels in an HDF5 file, and the slides in a CSV."""
    n_images, halves = len(plan.picture_N), draw_halves()
    with h5py.File(folder / FILE, "w") as file:
        x = file.create_dataset("x", (n_images, SIDE, SIDE, 3), np.uint8)
        for start in range(0, n_images, BLOCK):
            rows = slice(start, min(start + BLOCK, n_images))
            x[rows] = pixels_of(rows, plan, *halves)
        file["y"] = np.random.default_rng(2).integers(0, 2, n_images, np.uint8)
    slides = [f"slide_{row // SLIDE}" for row in range(n_images)]
    (folder / "slides.csv").write_text("\n".join(["slide", *slides]) + "\n")


def drop_from_memory(file: Path) -> None:
    """Make the next reader of a file read it from the disk."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


@dataclass(frozen=True)
class Round:
    """What each side took, and what the workflow found."""

    loop: Taken
    manifest: Taken
    cleaning: Taken
    idle: Taken
    """The same call when nothing is left to do."""
    stages_s: dict[str, float]
    found: set[tuple[int, int]]

    def times_loop(self, scale: float) -> float:
        """Seconds of cleaning over those of the loop, for `scale` times as many images."""
        return (self.idle.wall_s + (self.cleaning.wall_s - self.idle.wall_s) * scale) / (self.loop.wall_s * scale)


def run_round(clone: Clone, data: Path, number: int) -> Round:
    """Manifest, loop and cleaning in turn; the workflow's results go to a folder of their own."""
    name = f"cleaning-{number}"
    images = {"kind": "hdf5", "path": str(data), "images": f"{FILE}:x", "labels": f"{FILE}:y"}
    clone.configure(name, dataset={**images, "groups": "slides.csv:slide"})
    results = f"results/{name}"
    manifest = run_snakemake(clone, name, f"{results}/manifest.csv")
    drop_from_memory(data / FILE)
    loop = watch(subprocess.Popen([sys.executable, str(LOOP), str(data / FILE), "x"], start_new_session=True))
    drop_from_memory(data / FILE)
    tables_wanted = [f"{results}/{table}.csv" for table in ("findings", "selection")]
    cleaning, idle = (run_snakemake(clone, name, *tables_wanted) for _ in range(2))
    folder = clone.results(name)
    return Round(loop, manifest, cleaning, idle, seconds_of_stages(folder, cleaning.wall_s), copies_found(folder))


def run_snakemake(clone: Clone, name: str, *targets: str) -> Taken:
    try:
        return watch(clone.start(name, *targets, "--cores", str(CORES)), clone.folder)
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{clone.said(name)}") from error


def seconds_of_stages(results: Path, wall_s: float) -> dict[str, float]:
    """From when the files of each stage were written; the last stage ends with Snakemake."""
    chunks = max(file.stat().st_mtime for file in (results / "fingerprints.chunks").iterdir())
    seal, findings, selection = (
        (results / name).stat().st_mtime for name in ("fingerprints.sealed.json", "findings.csv", "selection.csv")
    )
    rest = {"seal_fingerprints": seal - chunks, "clean_images and select_rows": max(findings, selection) - seal}
    return {"fingerprint_chunk, with Snakemake's start and end": wall_s - sum(rest.values()), **rest}


def copies_found(results: Path) -> set[tuple[int, int]]:
    """Pairs of rows that the rule for exact copies puts into one cluster, the smaller first."""
    frame = tables.read_table(results / "findings.csv", tables.FINDING_COLUMNS)
    rows = frame[frame["rule"] == "exact_duplicate"]
    members = [{*part["image_id"], *part["other"]} for _, part in rows.groupby("cluster")]
    return {pair for cluster in members for pair in combinations(sorted(cluster), 2)}


def compare(args: argparse.Namespace, clone: Clone, data: Path) -> int:
    n_images = images_that_fit(args.images, data)
    plan = plan_rows(n_images)
    write_file(data, plan)
    rounds = [run_round(clone, data, number) for number in range(args.rounds)]
    times = statistics.median(one.times_loop(max(ALL / n_images, 1)) for one in rounds)
    peak_mb = max(one.cleaning.peak_mb for one in rounds)
    size_mb = (data / FILE).stat().st_size / MB
    print(f"{n_images:,} images of {SIDE} × {SIDE} × 3, {size_mb:,.0f} MB, {CORES} cores, median of {args.rounds}")
    limits = [
        Limit(f"cleaning over the loop, {max(n_images, ALL):,} images", f"{times:.2f} ×", "at most 3.00 ×", times <= 3),
        Limit("all processes of cleaning together", f"{peak_mb:.0f} MB", "under 1024 MB", peak_mb < 1024),
        *limits_of_copies(plan.copies, rounds),
    ]
    figures: dict[str, Any] = {"images": n_images, "planted_pairs": len(plan.copies)}
    figures["rounds"] = [
        {**{side: getattr(one, side)._asdict() for side in SIDES}, "stages_s": one.stages_s} for one in rounds
    ]
    return report(args, table_of(rounds, n_images), limits, figures)


def table_of(rounds: list[Round], n_images: int) -> list[list[str]]:
    """Sides, then the stages of cleaning."""
    table = [["", "median s", "images/s", "peak MB", "processor s"]]
    for side, name in SIDES.items():
        taken = [getattr(one, side) for one in rounds]
        seconds = statistics.median(one.wall_s for one in taken)
        rate = "" if side == "idle" else f"{n_images / seconds:,.0f}"
        peak_mb, processor_s = max(one.peak_mb for one in taken), statistics.median(one.processor_s for one in taken)
        table.append([name, f"{seconds:.2f}", rate, f"{peak_mb:.0f}", f"{processor_s:.1f}"])
    for stage in rounds[0].stages_s:
        seconds = statistics.median(one.stages_s[stage] for one in rounds)
        table.append([f"  {stage}", f"{seconds:.2f}", f"{n_images / seconds:,.0f}", "", ""])
    return table


def limits_of_copies(planted: set[tuple[int, int]], rounds: list[Round]) -> list[Limit]:
    recall = min(len(one.found & planted) / len(planted) for one in rounds)
    precision = min(len(one.found & planted) / max(len(one.found), 1) for one in rounds)
    return [
        Limit(f"of {len(planted):,} pairs of exact copies are found", f"{recall:.4f}", "1.0", recall == 1),
        Limit("of the pairs found are exact copies", f"{precision:.4f}", "1.0", precision == 1),
    ]


def images_that_fit(n_images: int, folder: Path) -> int:
    """An eighth where the disk has too little room for all."""
    free, needed = shutil.disk_usage(folder).free, ROOM * n_images * SIDE * SIDE * 3
    if free >= needed:
        return n_images
    print(f"an eighth of the images: {free / 1e9:.1f} GB are free, {needed / 1e9:.1f} GB needed for all")
    return n_images // 8


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=int, default=ALL, help="images in the file")
    parser.add_argument("--rounds", type=int, default=1, help="times that each side is measured")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure; else where temporary files go")
    args = parser.parse_args()
    tempfile.tempdir = args.folder and str(args.folder.resolve())
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        (folder / "data").mkdir()
        return compare(args, clone, folder / "data")


if __name__ == "__main__":
    sys.exit(main())
