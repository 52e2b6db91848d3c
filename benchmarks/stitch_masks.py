"""How long, and with how much memory, are patches of probabilities stitched to a mask?

Peer:   monai.inferers.merger.AvgMerger (plain averages of the whole image in memory): alone; with its averages compared
        to labels and these written to the same Zarr array as ours; the same with torch's arg-max, which is slow here.
Limit:  no slower than AvgMerger that compares and writes, a quarter of the memory that it adds, and at most 5 % more
        memory for an image twice as high.

4,096 × 4,096 px, two classes, patches of 256 px that overlap by 64, float32. Both sides are fed the same patches, dealt
from a pool that was drawn beforehand: their labels are noise, which is the worst for Zarr's compression. Ours weighs
them by a Gaussian, counts where they disagree and writes band by band. Ours works on one core, and torch is held to one
as well, since the workflow runs a job a core; --threads gives it more. Times are in turn in one process; memory is of
each side in a process of its own: the most that was resident while it worked, less what was before, with its imports
done (Linux).

AvgMerger is not among the packages that Unchoke needs; this brings it:  pip install --no-deps monai
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from common import TIMING_HEADER, Limit, benchmark_parser, median_wall, report, time_in_turn, timing_cells
from numpy.typing import NDArray

from unchoke.images.grid import Grid
from unchoke.stitching.bands import stitch_rows
from unchoke.store.zarr_bytes import create_array

SIZE, OVERLAP, CLASSES, POOL = 256, 64, 2, 16
Patches = list[NDArray[np.float32]]


def draw_pool() -> Patches:
    """Probabilities (K, S, S), summing to 1."""
    first = np.random.default_rng(0).random((POOL, SIZE, SIZE), np.float32)
    return list(np.stack([first, 1 - first], 1))


def dealt(grid: Grid, pool: Patches) -> Iterator[Patches]:
    """The patches of an image, a row at a time."""
    for row in range(grid.rows):
        yield [pool[place % POOL] for place in grid.row(row)]


@contextmanager
def mask_array(grid: Grid) -> Iterator[zarr.Array]:
    """An empty mask on disk, a chunk a band."""
    with tempfile.TemporaryDirectory() as folder:
        shape, chunks = (grid.height, grid.width), (grid.step, grid.width)
        yield create_array(zarr.create_group(folder), "mask", shape, chunks, np.dtype(np.uint8))


def stitch(grid: Grid, pool: Patches) -> None:
    with mask_array(grid) as mask:
        for band, label_HW in enumerate(stitch_rows(dealt(grid, pool), grid, CLASSES, "gaussian")):
            mask[slice(*grid.band_rows(band))] = label_HW


def merge(grid: Grid, pool: Patches) -> torch.Tensor:
    """MONAI's averages, (1, K, H, W)."""
    from monai.inferers.merger import AvgMerger

    merger = AvgMerger((1, CLASSES, *grid.extent), (1, CLASSES, grid.height, grid.width))
    for row, patches in enumerate(dealt(grid, pool)):
        for place, probability_KSS in zip(grid.row(row), patches, strict=True):
            merger.aggregate(torch.from_numpy(probability_KSS)[None], grid.patch(place)[:2])
    return merger.finalize()


def merge_to_mask(labels: Callable[[torch.Tensor], torch.Tensor], grid: Grid, pool: Patches) -> None:
    with mask_array(grid) as mask:
        mask[...] = labels(merge(grid, pool)[0]).to(torch.uint8).numpy()


SIDES: dict[str, Callable[[Grid, Patches], object]] = {
    "unchoke": stitch,
    "AvgMerger, no mask": merge,
    "AvgMerger, comparison": partial(merge_to_mask, lambda average_KHW: average_KHW[1] > average_KHW[0]),
    "AvgMerger, arg-max": partial(merge_to_mask, lambda average_KHW: average_KHW.argmax(0)),
}
OURS, _, PEER, _ = SIDES


def resident_mb(field: str) -> float:
    """A figure of this process: VmRSS is resident now, VmHWM the most since it was last set back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def memory_of(side: str, grid: Grid) -> tuple[float, float]:
    """MB that a side adds while it stitches, and the most that its process holds then."""
    pool = draw_pool()
    SIDES[side](Grid(SIZE, SIZE, SIZE, OVERLAP), pool)  # imports, and whatever is made once
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back
    before_mb = resident_mb("VmRSS")
    SIDES[side](grid, pool)
    return resident_mb("VmHWM") - before_mb, resident_mb("VmHWM")


def memory_apart(side: str, grid: Grid) -> list[float]:
    """``memory_of`` in a process of its own."""
    flags = ["--memory-of", side, "--height", str(grid.height), "--width", str(grid.width)]
    done = subprocess.run([sys.executable, __file__, *flags], check=True, capture_output=True, text=True)
    return [float(figure) for figure in json.loads(done.stdout.splitlines()[-1])]


def compare(args: argparse.Namespace, grid: Grid) -> int:
    pool = draw_pool()
    actions = {name: partial(side, grid, pool) for name, side in SIDES.items()}
    time_in_turn(actions, 1)  # imports
    times = time_in_turn(actions, args.rounds)
    memory = {name: memory_apart(name, grid) for name in SIDES}
    twice = memory_apart(OURS, Grid(2 * grid.height, grid.width, SIZE, OVERLAP))
    megapixels = grid.height * grid.width / 1e6
    table = [["", *TIMING_HEADER, "Mpx/s", "added MB", "most MB"]]
    for name, runs in times.items():
        rate = f"{megapixels / median_wall(runs):.0f}"
        table.append([name, *timing_cells(runs), rate, *(f"{figure:.0f}" for figure in memory[name])])
    table.append([f"{OURS}, twice as high", *["-"] * 5, *(f"{figure:.0f}" for figure in twice)])
    figures: dict[str, Any] = {"times": times, "memory_mb": memory, "twice_as_high_mb": twice}
    return report(args, table, limits(times, memory, twice), figures)


def limits(times: dict[str, Any], memory: dict[str, list[float]], twice: list[float]) -> list[Limit]:
    time = median_wall(times[OURS]) / median_wall(times[PEER])
    share, growth = memory[OURS][0] / memory[PEER][0], twice[1] / memory[OURS][1] - 1
    return [
        Limit(f"time over that of {PEER}", f"{time:.2f} ×", "1.00 ×", time <= 1),
        Limit(f"added memory over that of {PEER}", f"{share:.1%}", "25 %", share <= 0.25),
        Limit("an image twice as high moves the most that is held by", f"{growth:+.1%}", "5 %", growth <= 0.05),
    ]


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--height", type=int, default=4096, help="of the image, px")
    parser.add_argument("--width", type=int, default=4096, help="of the image, px")
    parser.add_argument("--rounds", type=int, default=7, help="times that each side is measured")
    parser.add_argument("--threads", type=int, default=1, help="of torch, for AvgMerger")
    parser.add_argument("--memory-of", choices=SIDES, help="measure the memory of this side alone, in this process")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    grid = Grid(args.height, args.width, SIZE, OVERLAP)
    if find_spec("monai") is None:
        print("MONAI is not there to compare with; install it with: pip install --no-deps monai", file=sys.stderr)
        return 1
    if args.memory_of:
        print(json.dumps(memory_of(args.memory_of, grid)))
        return 0
    return compare(args, grid)


if __name__ == "__main__":
    sys.exit(main())
