"""What the benchmarks share: flags, sides timed in turn, a table with its limits, and one extraction in this process."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from unchoke import tables
from unchoke.encoders import Encoder, load_encoder
from unchoke.extract import Extraction, extract_chunk, save_chunk
from unchoke.files import json_bytes, read_json, write_atomic
from unchoke.manifest import SplitSettings, build_manifest
from unchoke.seal import seal_features
from unchoke.weights import fetch_weights

PHOTOGRAPHS = Path(__file__).resolve().parents[1] / "../shared/data/signs"
CHUNK_SIZE = 64
CORES = os.cpu_count() or 1


def benchmark_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the flags that every benchmark takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=PHOTOGRAPHS, help="folder of photographs, one folder a class")
    parser.add_argument("--json", type=Path, help="file to write the figures to as well")
    return parser


def encoder_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that choose the encoder."""
    parser.add_argument("--model", default="efficientnet_b0", help="a model of timm; its weights are drawn from seed 0")
    parser.add_argument("--image-size", type=int, default=96, help="height and width of what it sees, px")


def skip_without(data: Path) -> None:
    """End with status 0 and the reason where there are no photographs."""
    if not data.is_dir():
        print(f"skipped: no folder of photographs at {data}; name one with --data")
        raise SystemExit(0)


def time_in_turn(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each side, measured A B A B …, so that what else the machine does falls on all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


@dataclass(frozen=True)
class Limit:
    """What a benchmark promises."""

    name: str
    found: str
    expected: str
    held: bool


def report(args: argparse.Namespace, table: Sequence[Sequence[str]], limits: Sequence[Limit], figures: Any) -> int:
    """Print the table (its header first), the limits and the machine; 1 where a limit is missed, else 0."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, *cells in table:
        print("  ".join([name.ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells, widths[1:], strict=True))]))
    for limit in limits:
        print(f"{'held' if limit.held else 'MISSED'}: {limit.name} {limit.found}, limit {limit.expected}")
    print(f"machine: {machine()}")
    if args.json:
        record = {"figures": figures, "limits": [asdict(limit) for limit in limits], "machine": machine()}
        write_atomic(args.json, json_bytes(json.loads(json.dumps(record))))
    return 0 if all(limit.held for limit in limits) else 1


def machine() -> str:
    """Processor, cores and releases."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {CORES} cores, Python {platform.python_version()}, torch {torch.__version__}"


@dataclass(frozen=True)
class Photographs:
    """A folder of photographs, ready to be extracted."""

    root: Path
    manifest: Path
    rows: Path
    weights: Path
    card: dict[str, Any]
    encoder: Encoder

    @property
    def paths(self) -> list[Path]:
        """Every photograph, in the order of the manifest."""
        return [self.root / path for path in tables.read_table(self.manifest, tables.MANIFEST_COLUMNS)["path"]]


def prepare(data: Path, folder: Path, model: str, image_size: int) -> Photographs:
    """Manifest, untrained weights and encoder on the CPU; torch computes on every core."""
    torch.set_num_threads(CORES)
    manifest, rows, weights, card = (folder / name for name in ("manifest.csv", "rows", "w.safetensors", "w.json"))
    build_manifest("folder", data, None, SplitSettings(0, 0.15, 0.15), CHUNK_SIZE, manifest, rows)
    fetch_weights(model, "untrained", 0, weights, card)
    encoder = load_encoder(weights, card, image_size, ["avg"], torch.device("cpu"), "float32")
    return Photographs(data, manifest, rows, weights, read_json(card), encoder)


def extract_chunks(photographs: Photographs, store: Path, micro_batch: int, n_chunks: int) -> None:
    """The first `n_chunks` chunks, as the command extract_chunk makes them."""
    settings = Extraction(CHUNK_SIZE, micro_batch)
    for chunk in range(n_chunks):
        rows_file = photographs.rows / f"{chunk}.csv"
        rows = tables.read_table(rows_file, tables.ROW_COLUMNS)
        features = extract_chunk(rows, photographs.root, photographs.encoder, settings, CORES)
        save_chunk(store, chunk, rows_file, features, photographs.encoder, settings)


def extract_store(photographs: Photographs, store: Path, micro_batch: int = 32) -> None:
    """Every chunk, and the seal."""
    extract_chunks(photographs, store, micro_batch, len(list(photographs.rows.iterdir())))
    seal_features(store, photographs.manifest, photographs.rows)
