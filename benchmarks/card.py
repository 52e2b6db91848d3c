"""What does each stage take on a graphics card under `gpu.vram_mb: 4096`, and what does that cost?

Peer:   the same stage with the whole card as its budget, in the same run, one after the other.
Limit:  NVML's peak of our processes together, CUDA's context included, at most 4,096 MB in every stage; a sample every
        20 ms (99 % of them), taken by a second process; all within seven minutes.

The workflow itself runs, with its warm worker, in a clone that is gone afterwards: on the demo's digits and canvases,
with the packaged weights of EfficientNet-Lite0. A rate counts what the stage is about (images, or canvases) once, by
the clock that its own records keep, and for stitching by Snakemake's, its start counted. Skipped where there is no
card. `make card` runs this after the tests that compare a card's results with the CPU's.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from card_watch import Peak, Watch, card_watched, whole_card_mb
from clones import EVERYTHING, Clone, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, report

from unchoke.machine.receipts import read_json
from unchoke.store import chunks, tables
from unchoke.store.read import open_complete

BUDGET_MB, LONGEST_S = 4096, 420
Seconds = Callable[[Path], float]


@dataclass(frozen=True)
class Stage:
    """What is made, from which config, and how long it took by its records."""

    config: str
    targets: tuple[str, ...]
    seconds: Seconds | None
    """From the folder of results; None: those of Snakemake."""


@dataclass(frozen=True)
class Figure:
    """Of one stage under one budget."""

    peak: Peak | None
    seconds: float
    rate: float
    """Images a second."""


def seconds_of_chunks(store: str) -> Seconds:
    """Those of all chunks of a store."""

    def seconds(results: Path) -> float:
        path = results / "features" / store
        count = len(open_complete(path).seal["rows_sha256"])
        return float(sum(chunks.read_record(path, chunk)["seconds"]["total"] for chunk in range(count)))

    return seconds


def seconds_of_runs(*runs: str) -> Seconds:
    """Those of some trainings."""
    return lambda results: float(sum(read_json(results / f"{run}.json")["seconds"] for run in runs))


def seconds_of_members(network: str) -> Seconds:
    """Those of all trainings of a network."""

    def seconds(results: Path) -> float:
        runs = (results / "members" / network).glob("rate*.json")
        return float(sum(read_json(run)["seconds"] for run in runs))

    return seconds


STAGES = {
    "extraction": Stage("digits", ("features/lite0.zarr/zarr.json",), seconds_of_chunks("lite0.zarr")),
    "heads": Stage(
        "digits",
        ("runs/lite0/linear.json", "runs/lite0/logistic.json"),
        seconds_of_runs("runs/lite0/linear", "runs/lite0/logistic"),
    ),
    "fine-tuning": Stage("digits", ("runs/lite0/last4.json",), seconds_of_members("last4")),
    "whole network": Stage("digits", ("runs/lite0/whole.json",), seconds_of_members("whole")),
    "feature maps": Stage("canvases", ("features/lite0.zarr/zarr.json",), seconds_of_chunks("lite0.zarr")),
    "mask heads": Stage(
        "canvases",
        ("runs/lite0/decoder.json", "runs/pixels/unet.json"),
        seconds_of_runs("runs/lite0/decoder", "runs/pixels/unet"),
    ),
    "stitching": Stage("canvases", ("scores/lite0/decoder.json", "scores/pixels/unet.json"), None),
}


def sections(args: argparse.Namespace, kind: str, budget_mb: int) -> dict[str, Any]:
    """A config of the digits or the canvases."""
    encoder = {"model": "tf_efficientnet_lite0", "weights": "packaged"}
    gpu = {"device": args.device, "vram_mb": budget_mb}
    if kind == "canvases":
        dataset = {"kind": kind, "path": "resources/canvases", "max_bad_share": 0.1}
        grid = {"epochs": args.epochs, "learning_rates": [0.003]}
        return {
            "dataset": {**dataset, "classes": {"background": 0, "digit": 1}},
            "gpu": gpu,
            "encoders": {"lite0": {**encoder, "strides": [4, 8]}},
            "mask_heads": {
                "decoder": {"kind": "decoder", **grid},
                "unet": {"kind": "unet", "width": args.width, "batch_size": 16, **grid},
            },
        }
    grid = {"epochs": args.epochs, "learning_rates": [1e-3], "batch_size": 128, "minutes": None}
    return {
        "dataset": {"kind": kind, "path": "resources/digits"},
        "gpu": gpu,
        "chunk_size": 256,
        "cleaning": None,
        "encoders": {"lite0": {**encoder, "image_size": args.image_size, "micro_batch": 256}},
        "heads": {"linear": {"kind": "linear", "epochs": 50}, "logistic": {"kind": "logistic"}},
        "networks": {
            "last4": {"encoder": "lite0", "blocks": 4, **grid},
            "whole": {"encoder": "lite0", "blocks": "all", "augment": ["hflip", "shift"], **grid},
        },
    }


def measure(clone: Clone, name: str, stage: Stage, watch: Watch | None) -> Figure:
    """Run a stage to its end; what it needs of earlier ones is there."""
    results, started = clone.results(name), time.perf_counter()
    if watch:
        watch.peak()
    clone.snakemake(name, *(f"results/{name}/{target}" for target in stage.targets), *EVERYTHING)
    wall_s = time.perf_counter() - started
    peak = watch.peak() if watch else None
    seconds = stage.seconds(results) if stage.seconds else wall_s
    images = len(tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS))
    return Figure(peak, seconds, images / seconds)


def compare(args: argparse.Namespace, clone: Clone, watch: Watch | None) -> dict[str, list[Figure]]:
    """Every stage under the budget, then with the whole card."""
    budgets = {"capped": BUDGET_MB, "whole": whole_card_mb() if watch else 2 * BUDGET_MB}
    for kind in ("digits", "canvases"):
        for side, budget_mb in budgets.items():
            clone.configure(f"{kind}-{side}", **sections(args, kind, budget_mb))
            clone.snakemake(f"{kind}-{side}", f"results/{kind}-{side}/manifest.csv", *EVERYTHING)
    figures: dict[str, list[Figure]] = {}
    for name, stage in STAGES.items():
        figures[name] = [measure(clone, f"{stage.config}-{side}", stage, watch) for side in budgets]
        print(f"{name}: {', '.join(f'{figure.seconds:.1f} s' for figure in figures[name])}", flush=True)
    return figures


def show(args: argparse.Namespace, figures: dict[str, list[Figure]], taken_s: float) -> int:
    """The table and the limits."""
    header = ["stage", "peak MB", "whole card, peak MB", "images/s", "whole card, images/s", "ratio"]
    table, limits = [header], [Limit("all of it", f"{taken_s:.0f} s", f"at most {LONGEST_S} s", taken_s <= LONGEST_S)]
    for name, (capped, whole) in figures.items():
        peaks = [f"{figure.peak.mb:.0f}" if figure.peak else "-" for figure in (capped, whole)]
        rates = [f"{figure.rate:.1f}" for figure in (capped, whole)]
        table.append([name, *peaks, *rates, f"{capped.rate / whole.rate:.2f}"])
        if capped.peak:
            limits += list(limits_of(name, capped.peak))
    plain = {
        name: [{**vars(one), "peak": vars(one.peak) if one.peak else None} for one in both]
        for name, both in figures.items()
    }
    return report(args, table, limits, plain)


def limits_of(stage: str, peak: Peak) -> Iterator[Limit]:
    """Of the peak, and of how it was sampled."""
    whose = "our processes" if peak.own_mb else "all processes, which NVML does not tell apart, beyond the start"
    found = f"{peak.mb:.0f} MB of {whose}"
    yield Limit(f"{stage}: peak", found, f"above 0, at most {BUDGET_MB} MB", 0 < peak.mb <= BUDGET_MB)
    found = f"{1 - peak.late:.1%} of {peak.samples}"
    yield Limit(f"{stage}: samples within 20 ms", found, "at least 99 %", peak.late <= 0.01)


@contextmanager
def watched(device: str, folder: Path) -> Iterator[Watch | None]:
    """The card's watch; none on a CPU."""
    with card_watched(folder) if device == "cuda" else nullcontext() as watch:
        yield watch


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--device", default="cuda", help="cpu: try the benchmark itself, without peaks")
    parser.add_argument("--image-size", type=int, default=224, help="what encoder and networks see, px")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of networks and mask heads")
    parser.add_argument("--width", type=int, default=64, help="channels of the U-Net's first level")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("skipped: no CUDA card here")
        return 0
    started = time.perf_counter()
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        with watched(args.device, clone.folder) as watch:
            figures = compare(args, clone, watch)
        return show(args, figures, time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
