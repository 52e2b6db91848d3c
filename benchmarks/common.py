"""What every benchmark shares: flags, sides timed in turn, and a table with its limits and the machine."""

import argparse
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from unchoke.files import json_bytes, write_atomic

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "shared/data/signs"  # beside the repository
CORES = os.cpu_count() or 1
TIMING_HEADER = ["median s", "least s", "most s", "processor s"]


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


class Timing(NamedTuple):
    """What one run of a side cost. Far more wall than processor time per core says that the machine was busy."""

    wall_s: float
    processor_s: float
    """Of this process and of its children that have ended."""


def time_in_turn(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Timing]]:
    """Each side measured A B A B …, so that what else the machine does falls on all of them."""
    times: dict[str, list[Timing]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            wall, processor = time.perf_counter(), processor_s()
            side()
            times[name].append(Timing(time.perf_counter() - wall, processor_s() - processor))
    return times


def processor_s() -> float:
    """Processor time so far, to the microsecond: of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def median_wall(times: Sequence[Timing]) -> float:
    """Seconds."""
    return statistics.median(timing.wall_s for timing in times)


def median_processor(times: Sequence[Timing]) -> float:
    """Seconds, over all processors."""
    return statistics.median(timing.processor_s for timing in times)


def timing_cells(times: Sequence[Timing]) -> list[str]:
    """The cells under ``TIMING_HEADER``."""
    walls = [timing.wall_s for timing in times]
    return [f"{seconds:.2f}" for seconds in (median_wall(times), min(walls), max(walls), median_processor(times))]


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
        write_atomic(args.json, json_bytes(record))
    return 0 if all(limit.held for limit in limits) else 1


def machine() -> str:
    """Processor, cores and releases."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {CORES} cores, Python {platform.python_version()}, torch {version('torch')}"
