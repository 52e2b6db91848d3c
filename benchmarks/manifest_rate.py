"""How long does it take to bring the manifest of 70,000 images up to date?

Peer:   a plain walk over the same files, os.scandir and stat: no way of listing them can be faster. Beside it, what the
        file system takes for as many new files as a first build makes, one for each chunk.
Limit:  the first build in under 1 s, with a warm cache of the file system.

Measured in turn, a round: the walk, a first build, a second one when nothing has changed, a third after 1,000 new
images. The time is the library's own; Python's start and its imports are not in it. An ext4 without a journal takes up
to 1 ms for a new file for minutes after many were deleted; TMPDIR=/dev/shm shows the library without its disk.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from common import TIMING_HEADER, Limit, Timing, benchmark_parser, median_wall, report, time_in_turn, timing_cells

from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.store.cuts import chunk_count

CLASSES = 10
CHUNK_SIZE = 64


def make_images(root: Path, first: int, count: int) -> list[Path]:
    """Write `count` files of a few bytes, dealt over the classes; the manifest does not look inside."""
    files = [root / f"class_{number % CLASSES}" / f"image_{number:07}.png" for number in range(first, first + count)]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"image")
    return files


def plain_walk(root: Path) -> list[tuple[str, int, int]]:
    found = []
    with os.scandir(root) as folders:
        for folder in folders:
            with os.scandir(folder) as files:
                for file in files:
                    stat = file.stat()
                    found.append((file.path, stat.st_size, stat.st_mtime_ns))
    return found


def plain_files(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.csv").write_bytes(b"x" * 3000)


def build(root: Path, results: Path) -> None:
    split = SplitSettings(0, 0.15, 0.15)
    build_manifest("folder", root, None, split, CHUNK_SIZE, results / "manifest.csv", results / "rows")


def measure_round(root: Path, new: list[tuple[Path, Path]], results: Path) -> dict[str, list[Timing]]:
    """What each step took in a fresh folder of results; `new` images come in from where they lie, and go back."""
    step = partial(build, root, results)
    walk = partial(plain_walk, root)
    files = partial(plain_files, results / "plain", chunk_count(len(walk()), CHUNK_SIZE))
    sides: dict[str, Callable[[], object]] = {
        "scandir + stat": walk,
        "as many new files": files,
        "first build": step,
        "unchanged": step,
    }
    times = time_in_turn(sides, 1)
    for away, here in new:
        away.rename(here)
    times |= time_in_turn({f"{len(new):,} images added": step}, 1)
    for away, here in new:
        here.rename(away)  # not deleted: some file systems are slow to make files right after that
    return times


def compare(args: argparse.Namespace, folder: Path) -> int:
    root, away = folder / "images", folder / "new"
    make_images(root, 0, args.images)
    new = [(file, root / file.relative_to(away)) for file in make_images(away, args.images, args.new)]
    measure_round(root, new, folder / "warm-up")
    rounds = [measure_round(root, new, folder / f"round-{number}") for number in range(args.rounds)]
    times = {name: [times[name][0] for times in rounds] for name in rounds[0]}
    walk, first = median_wall(times["scandir + stat"]), median_wall(times["first build"])
    table = [["", *TIMING_HEADER, "× walk"]]
    table += [[name, *timing_cells(part), f"{median_wall(part) / walk:.1f}"] for name, part in times.items()]
    print(f"{args.images:,} images in {CLASSES} folders, median of {args.rounds}")
    return report(args, table, [Limit("first build", f"{first:.2f} s", "under 1 s", first < 1)], times)


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=int, default=70_000, help="files to list")
    parser.add_argument("--new", type=int, default=1_000, help="files to add for the third build")
    parser.add_argument("--rounds", type=int, default=5, help="times that each step is measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as folder:
        return compare(args, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
