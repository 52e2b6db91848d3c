"""How long does it take to bring the manifest of 70,000 images up to date?

Peer:   a plain walk over the same files, os.scandir and stat: no way of listing them can be faster.
Limit:  the first build in under 1 s, with a warm cache of the file system.

Measured in turn, a round: the walk, a first build, a second one when nothing has changed, a third after 1,000 new
images. The time is the library's own; Python's start and its imports are not in it.
"""

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from common import CHUNK_SIZE, Limit, benchmark_parser, report, time_in_turn

from unchoke.manifest import SplitSettings, build_manifest

CLASSES = 10


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


def build(root: Path, results: Path) -> None:
    split = SplitSettings(0, 0.15, 0.15)
    build_manifest("folder", root, None, split, CHUNK_SIZE, results / "manifest.csv", results / "rows")


def measure_round(root: Path, images: int, new: int, results: Path) -> dict[str, float]:
    """Seconds of each step in a fresh folder of results; the new images are gone again at the end."""
    step = partial(build, root, results)
    seconds = time_in_turn({"scandir + stat": partial(plain_walk, root), "first build": step, "unchanged": step}, 1)
    added = make_images(root, images, new)
    seconds |= time_in_turn({f"{new:,} images added": step}, 1)
    for file in added:
        file.unlink()
    return seconds


def compare(args: argparse.Namespace, folder: Path) -> int:
    root = folder / "images"
    make_images(root, 0, args.images)
    measure_round(root, args.images, args.new, folder / "warm-up")
    rounds = [measure_round(root, args.images, args.new, folder / f"round-{number}") for number in range(args.rounds)]
    seconds = {name: sorted(part[name] for part in rounds) for name in rounds[0]}
    median = {name: times[len(times) // 2] for name, times in seconds.items()}
    table = [["", "median s", "least s", "most s", "× walk"]]
    for name, times in seconds.items():
        ratio = median[name] / median["scandir + stat"]
        table.append([name, f"{median[name]:.3f}", f"{times[0]:.3f}", f"{times[-1]:.3f}", f"{ratio:.1f}"])
    first = median["first build"]
    print(f"{args.images:,} images in {CLASSES} folders, median of {args.rounds}")
    return report(args, table, [Limit("first build", f"{first:.2f} s", "under 1 s", first < 1)], seconds)


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
