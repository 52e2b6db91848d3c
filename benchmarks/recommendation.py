"""Is the rate reached that `snakemake compare_pipelines` promises, once its lines are pasted into the config?

Sets:   photographs of --data, and as many of twelve megapixels, which are those enlarged to 4000 × 3000 px.
Sides:  the config as it was and with the lines, each as the command extract_chunk works: chunks and their records are
        written, files are dropped from the page cache first. In turn after the comparison, each in this process.
Limit:  nine tenths of the promise, after what the first side says of the machine's speed then and now.

Both rates are the lower one of a cold and a warm epoch, as in the comparison; medians of the rounds.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import yaml
from common import CORES, Limit, benchmark_parser, encoder_flags, report, skip_without
from photographs import CHUNK_SIZE, Photographs, prepare
from PIL import Image

from unchoke.config.decoding import Decoding
from unchoke.config.encoders import Encoder
from unchoke.encoders.compiled import compile_encoder
from unchoke.features.chunk import Extraction, save_chunk
from unchoke.features.images import extract_chunk
from unchoke.machine.limits import VRAM_MB
from unchoke.pipelines.compare import compare_pipelines
from unchoke.pipelines.measure import drop_from_cache
from unchoke.pipelines.recommend import best_setting, recommendation
from unchoke.pipelines.work import Work
from unchoke.report.pipelines import table_text
from unchoke.store import tables

LEAST = 0.9
TWELVE_MP = (4000, 3000)
NAME = "encoder"


@dataclass(frozen=True)
class Promise:
    """What a comparison recommends, and the rates that it was measured at, images/s."""

    pipeline: str
    text: str
    default: float
    promised: float
    table: str
    """The comparison, a line a pipeline."""


def copy_photographs(data: Path, folder: Path, count: int, size: tuple[int, int] | None = None) -> Path:
    """At most `count` photographs, in turn from every class, as they are or enlarged to `size`, px."""
    classes = sorted(each for each in data.iterdir() if each.is_dir())
    paths = [path for part in zip(*(sorted(each.iterdir()) for each in classes), strict=False) for path in part]
    for path in paths[:count]:
        target = folder / path.parent.name / f"{path.stem}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        if size:
            Image.open(path).convert("RGB").resize(size).save(target, quality=90)
        else:
            target.write_bytes(path.read_bytes())
    return folder


def promise_of(photographs: Photographs, args: argparse.Namespace) -> Promise:
    """The recommendation for some photographs."""
    folder, encoder = photographs.weights.parent, photographs.encoder
    given = photographs.weights, folder / "w.json", encoder.image_size, "avg", "cpu", "float32"
    settings = Extraction(CHUNK_SIZE, args.micro_batch)
    work = Work("folder", photographs.root, pd.DataFrame(), *given, settings, CORES, folder / "scratch")
    manifest = tables.read_table(photographs.manifest, tables.MANIFEST_COLUMNS)
    rows = compare_pipelines(work, manifest, args.images, args.rounds, 60 * args.minutes, VRAM_MB)
    best, text = best_setting(rows, args.for_images), recommendation(rows, CORES, args.rounds, NAME, args.for_images)
    return Promise(best.pipeline, text, rows[0].images_per_s, best.images_per_s, table_text(rows))


def extraction(photographs: Photographs, pasted: dict[str, Any], store: Path) -> Callable[[], None]:
    """An epoch of extraction as a config asks, after its first chunk. pasted: `decoding` and `encoders` of a config."""
    decoding = Decoding(**pasted.get("decoding", {}))
    asked = Encoder(model=photographs.card["model"], **pasted.get("encoders", {}).get(NAME, {}))
    encoder = photographs.encoder
    if asked.compile == "on":
        encoder = compile_encoder(encoder, asked.micro_batch)
    settings = Extraction(
        CHUNK_SIZE, asked.micro_batch, decoding.max_pixels, decoding.jpeg_draft, decoder=decoding.decoder
    )

    def one(rows_file: Path) -> None:
        rows = tables.read_table(rows_file, tables.ROW_COLUMNS)
        found = extract_chunk(rows, photographs.root, encoder, settings, min(CORES, decoding.threads))
        save_chunk(store, int(rows_file.stem), rows_file, found, encoder, settings)

    files = sorted(photographs.rows.iterdir())
    one(files[0])

    def epoch() -> None:
        for file in files:
            one(file)

    return epoch


def slower_rate(photographs: Photographs, epoch: Callable[[], None]) -> float:
    """Images/s of the slower one of a cold and a warm epoch."""
    drop_from_cache(photographs.paths)
    seconds = []
    for _ in ("cold", "warm"):
        started = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - started)
    return len(photographs.paths) / max(seconds)


def followed(photographs: Photographs, promise: Promise, args: argparse.Namespace) -> tuple[float, float]:
    """Images/s of the config as it was, and with the lines of the recommendation."""
    before = {"encoders": {NAME: {"micro_batch": args.micro_batch}}, "decoding": {"threads": CORES}}
    folder = photographs.weights.parent
    sides = {
        name: extraction(photographs, pasted, folder / f"{name}.zarr")
        for name, pasted in (("before", before), ("after", yaml.safe_load(promise.text)))
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(args.rounds):
        for name, epoch in sides.items():
            rates[name].append(slower_rate(photographs, epoch))
    return median(rates["before"]), median(rates["after"])


def measure(data: Path, args: argparse.Namespace, size: tuple[int, int] | None) -> tuple[list[str], float, str]:
    """Cells of the table, the share of the promise that is reached, and what the comparison printed."""
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as name:
        root = copy_photographs(data, Path(name, "images"), args.images, size)
        photographs = prepare(root, Path(name), args.model, args.image_size)
        promise = promise_of(photographs, args)
        before, after = followed(photographs, promise, args)
    share = after / promise.promised * promise.default / before
    rates = (promise.default, promise.promised, before, after)
    cells = [promise.pipeline, *(f"{rate:.1f}" for rate in rates), f"{after / promise.promised:.2f}", f"{share:.2f}"]
    return cells, share, f"{promise.table}\n\n{promise.text}"


def main() -> int:
    parser = benchmark_parser(__doc__)
    encoder_flags(parser)
    parser.add_argument("--images", type=int, default=240, help="photographs of a set")
    parser.add_argument("--for-images", type=int, default=100_000, help="images to be encoded; compiling must pay")
    parser.add_argument("--micro-batch", type=int, default=32, help="of the config before; 32 is the default")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the comparison, and of both sides after it")
    parser.add_argument("--minutes", type=float, default=5, help="for the rounds of a comparison")
    args = parser.parse_args()
    skip_without(args.data)
    head = ["", "recommended", "default/s", "promised/s", "default/s after", "reached/s", "reached", "corrected"]
    table, limits, figures = [head], [], {}
    for name, size in ((args.data.name, None), ("12 MP", TWELVE_MP)):
        cells, share, text = measure(args.data, args, size)
        print(f"\n{name}:\n{text}", flush=True)
        table.append([name, *cells])
        limits.append(Limit(f"{name}: reached, corrected", f"{share:.2f}", f"at least {LEAST}", share >= LEAST))
        figures[name] = {"cells": cells, "share": share, "text": text}
    print(f"{args.model} at {args.image_size} px, {args.images} images, medians of {args.rounds} rounds")
    return report(args, table, limits, figures)


if __name__ == "__main__":
    sys.exit(main())
