"""What does an epoch spend on the maps of text: read from the cached store, or drawn anew?

Peers:  the same functions in the loop of the training, as trainers of text detectors draw maps: those of every patch
        from the outlines that touch it, and those of whole images.
Limit:  the store gives the bytes that are drawn, in at most half of the time of drawing patches.

Drawn images of 1280 × 720 px with 10 turned words each, cut into patches of 256 px that overlap by 64: 28 an image,
twice its pixels. Patches are read as heads read them: a chunk at a time, each decoded once an epoch. One core, from
memory where there is enough of it. Maps drawn anew can follow a random scale, which cached ones cannot.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import TIMING_HEADER, Limit, benchmark_parser, median_processor, report, time_in_turn, timing_cells

from unchoke.features.text_maps import TextSettings, draw_text_maps
from unchoke.files import write_atomic
from unchoke.images.grid import Grid
from unchoke.polygons.maps import Maps, Window, bounds_of, draw_maps, target_of, touches
from unchoke.polygons.word import Corners
from unchoke.store.chunks import MASK, THRESHOLD
from unchoke.store.read import FeatureStore, open_complete
from unchoke.store.seal import seal_store
from unchoke.store.tables import PATCH_COLUMNS, TEXT_ROW_COLUMNS, read_table, table_bytes

HEIGHT, WIDTH, WORDS = 720, 1280, 10
SIZE, OVERLAP, PER_CHUNK = 256, 64, 16
Patch = tuple[Window, list[Corners]]
"""A window of an image, and the words that touch it."""


def drawn_words(rng: np.random.Generator) -> list[Corners]:
    """Turned words of an image, 40 to 200 px long and 12 to 50 px high."""
    found = []
    for _ in range(WORDS):
        width, height = rng.uniform(40, 200), rng.uniform(12, 50)
        corners = np.array([0, width, width + 1j * height, 1j * height]) * np.exp(1j * rng.normal(0, 0.3))
        corners += rng.uniform(100, WIDTH - 300) + 1j * rng.uniform(100, HEIGHT - 200)
        found.append(tuple(zip(corners.real.tolist(), corners.imag.tolist(), strict=True)))
    return found


def patches_of(words: list[Corners]) -> list[Patch]:
    """The patches of an image, row by row."""
    grid = Grid(HEIGHT, WIDTH, SIZE, OVERLAP)
    places = [grid.patch(place) for place in range(grid.count)]
    windows = [Window(place.y0, place.x0, SIZE, SIZE) for place in places]
    return [(window, [word for word in words if touches(bounds_of(word), window)]) for window in windows]


def write_store(folder: Path, patches: list[Patch]) -> FeatureStore:
    """The sealed store of the maps of all patches, as the workflow makes it."""
    rows, cut = [], []
    for number, ((y0, x0, *_), words) in enumerate(patches):
        rows.append((number, 0, y0, x0, HEIGHT, WIDTH, json.dumps([[word, False] for word in words])))
        cut.append((number, 0, y0, x0, SIZE, SIZE, OVERLAP // 2, ""))
    write_atomic(folder / "patches.csv", table_bytes(PATCH_COLUMNS, cut))
    for chunk, start in enumerate(range(0, len(rows), PER_CHUNK)):
        file = folder / f"mask_rows/{chunk}.csv"
        write_atomic(file, table_bytes(TEXT_ROW_COLUMNS, rows[start : start + PER_CHUNK]))
        settings = TextSettings(SIZE, PER_CHUNK, 0)
        draw_text_maps(folder / "labels.zarr", chunk, read_table(file, TEXT_ROW_COLUMNS), file, settings)
    seal_store(folder / "labels.zarr", folder / "patches.csv", folder / "mask_rows")
    return open_complete(folder / "labels.zarr")


def read_maps(store: FeatureStore, count: int) -> Iterator[Maps]:
    """The maps of every patch, from the store."""
    for start in range(0, count, PER_CHUNK):
        ids = np.arange(start, min(start + PER_CHUNK, count))
        yield from map(Maps, store.rows(MASK, ids), store.rows(THRESHOLD, ids))


def drawn_maps(windows: list[Patch]) -> Iterator[Maps]:
    """The same, drawn from the corners of words; or those of whole images."""
    for window, words in windows:
        yield draw_maps([target_of(word, ignored=False) for word in words], window, HEIGHT, WIDTH)


def use(maps: Iterator[Maps]) -> int:
    """Makes all of them, one after the other; returns how many."""
    return sum(1 for _ in maps)


def compare(args: argparse.Namespace, folder: Path) -> int:
    rng = np.random.default_rng(0)
    images = [drawn_words(rng) for _ in range(args.images)]
    patches = [patch for words in images for patch in patches_of(words)]
    whole = [(Window(0, 0, HEIGHT, WIDTH), words) for words in images]
    store = write_store(folder, patches)
    same = sum(
        all(map(np.array_equal, one, other))
        for one, other in zip(read_maps(store, len(patches)), drawn_maps(patches), strict=True)
    )
    sides = {
        "patches, read": lambda: use(read_maps(store, len(patches))),
        "patches, drawn": lambda: use(drawn_maps(patches)),
        "whole images, drawn": lambda: use(drawn_maps(whole)),
    }
    times = time_in_turn(sides, args.rounds)
    seconds = {name: median_processor(times[name]) * 1000 / args.images for name in sides}
    table = [[f"{args.images} images", *TIMING_HEADER, "processor s, 1,000 images"]]
    table += [[name, *timing_cells(times[name]), f"{seconds[name]:.1f}"] for name in sides]
    stored = sum(file.stat().st_size for file in (folder / "labels.zarr").rglob("*") if file.is_file())
    table.append(["the store, MB for 1,000 images", f"{stored / 1e6 * 1000 / args.images:.0f}", *[""] * 4])
    ratio = seconds["patches, read"] / seconds["patches, drawn"]
    limits = [
        Limit("patches with the same bytes", f"{same}", f"{len(patches)}", same == len(patches)),
        Limit("time of reading by that of drawing", f"{ratio:.2f}", "0.50", ratio <= 0.5),
    ]
    return report(args, table, limits, {"times": times, "seconds_of_1000": seconds, "bytes": stored})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=int, default=100, help="how many are drawn")
    parser.add_argument("--rounds", type=int, default=5, help="times that each side is measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return compare(args, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
