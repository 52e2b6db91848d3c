"""What does the whole workflow cost beyond the computing?

Peer:   bare_loop.py, one process that starts, loads the same weights, and extracts and seals the same rows in a loop.
Limit:  at 512 chunks of EfficientNet-B0, at most 1.10 × the loop, and the same bytes in both seals. With 33 chunks of
        the small encoder, at least 15 × as fast as a process of its own for every chunk (UNCHOKE_WARM=0).

Both sides start cold, and both find the weights made. The workflow's time holds all it does where the config has
neither heads nor cleaning: manifest, memory plan, chunks, seal, quarantine, rates; the loop finds its manifest made.
Two sets: the photographs as they are, and the same ones over and over under new names (links) to fill --chunks, without
those of more than 1,000 px, which would be most of its time. A small encoder stands beside the first, without a limit.

One process a chunk is measured on 8 chunks of the photographs and extrapolated to all of them: their wall, less that of
the same call when nothing is left to do, so that Snakemake's own start is not multiplied, over 8. The same 8 chunks
warm stand beside it; the ratio is that extrapolation over the wall of the whole warm workflow.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from clones import EVERYTHING, Clone, run_within, temporary_clone, temporary_folder
from common import (
    TIMING_HEADER,
    Limit,
    Timing,
    benchmark_parser,
    median_wall,
    report,
    skip_without,
    time_in_turn,
    timing_cells,
)
from photographs import CHUNK_SIZE, repeated_set

from unchoke.config.encoders import weights_name
from unchoke.manifest.images import SplitSettings, build_manifest

MICRO_BATCH = 32
COLD_CHUNKS = 8
LOOP = Path(__file__).with_name("bare_loop.py")


@dataclass(frozen=True)
class Subject:
    """A set of images and the encoder that sees them."""

    name: str
    data: Path
    model: str
    image_size: int

    @property
    def stem(self) -> str:
        return weights_name(self.model, "untrained", 0)

    @property
    def encoder(self) -> dict[str, Any]:
        """Its section of the config."""
        settings = {"image_size": self.image_size, "pools": ["avg"], "micro_batch": MICRO_BATCH}
        return {"model": self.model, "weights": "untrained", **settings}


@dataclass(frozen=True)
class Bench:
    """A clone, and a folder beside it for the loop. Every run has results of its own: nothing is deleted in between."""

    clone: Clone
    folder: Path
    numbers: "count[int]"

    def configure(self, subject: Subject) -> str:
        """A new name for a run, with its config."""
        name = f"{subject.name}-{next(self.numbers)}"
        encoders = {"encoder": subject.encoder}
        dataset = {"path": str(subject.data)}
        sections = {"encoders": encoders, "heads": {}, "cleaning": None, "chunk_size": CHUNK_SIZE}
        self.clone.configure(name, dataset=dataset, **sections)
        return name

    def make_weights(self, subject: Subject) -> None:
        """Not timed: both sides need them. Snakemake's and the library's files are warm afterwards."""
        self.clone.snakemake(self.configure(subject), f"resources/weights/{subject.stem}.safetensors", *EVERYTHING)

    def make_rows(self, subject: Subject) -> int:
        """The loop's manifest and rows, not timed; returns the number of chunks."""
        folder = self.folder / subject.name
        split = SplitSettings(0, 0.15, 0.15)
        record = build_manifest(
            "folder", subject.data, None, split, CHUNK_SIZE, folder / "manifest.csv", folder / "rows"
        )
        return int(str(record["chunks"]))

    def run_workflow(self, subject: Subject, seals: list[bytes]) -> None:
        name = self.configure(subject)
        features = (f"results/{name}/{file}" for file in ("rates.csv", "quarantine.csv"))  # no report, no heads
        self.clone.snakemake(name, *features, *EVERYTHING)
        seals.append((self.clone.results(name) / "features" / "encoder.sealed.json").read_bytes())

    def run_loop(self, subject: Subject, seals: list[bytes]) -> None:
        folder = self.folder / subject.name
        weights = self.clone.folder / "resources" / "weights" / subject.stem
        store = folder / f"{next(self.numbers)}.zarr"
        flags = {
            "--data": subject.data,
            "--manifest": folder / "manifest.csv",
            "--rows": folder / "rows",
            "--weights": f"{weights}.safetensors",
            "--card": f"{weights}.json",
            "--store": store,
            "--image-size": subject.image_size,
            "--chunk-size": CHUNK_SIZE,
            "--micro-batch": MICRO_BATCH,
        }
        run_within([sys.executable, str(LOOP), *(str(part) for flag in flags.items() for part in flag)])
        seals.append(store.with_suffix(".sealed.json").read_bytes())


@dataclass(frozen=True)
class Comparison:
    """The workflow and the loop on one subject."""

    title: str
    times: dict[str, list[Timing]]
    same_bytes: bool

    @property
    def ratio(self) -> float:
        return median_wall(self.times["workflow"]) / median_wall(self.times["loop"])

    def rows(self) -> list[list[str]]:
        """Of the table; processor time is left out, since the warm worker's is nobody's child's."""
        cells = {name: timing_cells(part)[:-1] for name, part in self.times.items()}
        return [
            [f"{self.title}: workflow", *cells["workflow"], f"{self.ratio:.2f}"],
            [f"{self.title}: bare loop", *cells["loop"], ""],
        ]


def compare_with_loop(bench: Bench, subject: Subject, rounds: int) -> Comparison:
    bench.make_weights(subject)
    n_chunks = bench.make_rows(subject)
    seals: list[bytes] = []
    sides: dict[str, Callable[[], object]] = {
        "workflow": partial(bench.run_workflow, subject, seals),
        "loop": partial(bench.run_loop, subject, seals),
    }
    times = time_in_turn(sides, rounds)
    return Comparison(f"{subject.model}, {n_chunks} chunks", times, len(set(seals)) == 1)


@dataclass(frozen=True)
class ColdAndWarm:
    """The first chunks of a subject by themselves."""

    cold: list[Timing]
    warm: list[Timing]
    cold_chunk_s: float
    """Of one chunk in a process of its own."""

    def rows(self, n_chunks: int) -> list[list[str]]:
        title = f"{COLD_CHUNKS} chunks alone"
        extrapolated = f"{self.cold_chunk_s * n_chunks:.2f}"
        return [
            [f"{title}, one process each", *timing_cells(self.cold)[:-1], ""],
            [f"{title}, warm", *timing_cells(self.warm)[:-1], ""],
            [f"{n_chunks} chunks, one process each, extrapolated", extrapolated, "", "", ""],
        ]


def compare_with_cold(bench: Bench, subject: Subject) -> ColdAndWarm:
    """Manifest and plan are made first, in both."""
    times: dict[str, list[Timing]] = {}
    for side, environment in {"cold": {"UNCHOKE_WARM": "0"}, "warm": {}}.items():
        name = bench.configure(subject)
        results = f"results/{name}"
        bench.clone.snakemake(name, f"{results}/manifest.csv", f"{results}/plans/encoder.json", *EVERYTHING)
        chunks = [f"{results}/features/encoder.zarr/avg/c/{chunk}/0" for chunk in range(COLD_CHUNKS)]
        run = partial(bench.clone.snakemake, name, *chunks, *EVERYTHING, **environment)
        times |= time_in_turn({side: run, f"{side}, nothing to do": run}, 1)
    chunk_s = (median_wall(times["cold"]) - median_wall(times["cold, nothing to do"])) / COLD_CHUNKS
    return ColdAndWarm(times["cold"], times["warm"], chunk_s)


def compare(args: argparse.Namespace, clone: Clone, folder: Path) -> int:
    bench = Bench(clone, folder, count())
    repeated = repeated_set(args.data, folder / "repeated", args.chunks * CHUNK_SIZE)
    comparisons = [
        compare_with_loop(bench, Subject(f"{name}-{number}", data, model, args.image_size), rounds)
        for name, data, rounds in (("once", args.data, args.rounds), ("repeated", repeated, args.repeated_rounds))
        for number, model in enumerate((args.model, args.small_model))
    ]
    _, once, long, _ = comparisons
    few = Subject("few", args.data, args.small_model, args.image_size)
    cold, n_chunks = compare_with_cold(bench, few), bench.make_rows(few)
    table = [["", *TIMING_HEADER[:-1], "× loop"]]
    table += [row for comparison in comparisons for row in comparison.rows()] + cold.rows(n_chunks)
    print(
        f"at {args.image_size} px, chunks of {CHUNK_SIZE}; the first {args.rounds} rounds, then {args.repeated_rounds}"
    )
    gain = cold.cold_chunk_s * n_chunks / median_wall(once.times["workflow"])
    same = all(comparison.same_bytes for comparison in comparisons)
    limits = [
        Limit(f"workflow over loop, {long.title}", f"{long.ratio:.3f} ×", "at most 1.10 ×", long.ratio <= 1.10),
        Limit("seals of workflow and loop are", "the same" if same else "different", "the same bytes", same),
        Limit(f"one process a chunk over warm, {once.title}", f"{gain:.1f} ×", "at least 15 ×", gain >= 15),
    ]
    return report(args, table, limits, {"comparisons": [vars(c) for c in comparisons], "cold": vars(cold)})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--model", default="efficientnet_b0", help="a model of timm, held to the limit")
    parser.add_argument(
        "--small-model", default="mobilenetv3_small_050", help="a smaller one, for the limit on cold chunks"
    )
    parser.add_argument("--image-size", type=int, default=96, help="height and width of what they see, px")
    parser.add_argument("--chunks", type=int, default=512, help="chunks of the repeated set")
    parser.add_argument("--rounds", type=int, default=3, help="times that the photographs as they are are measured")
    parser.add_argument("--repeated-rounds", type=int, default=1, help="times that the repeated set is measured")
    args = parser.parse_args()
    args.data = args.data.resolve()
    skip_without(args.data)
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        return compare(args, clone, folder)


if __name__ == "__main__":
    sys.exit(main())
